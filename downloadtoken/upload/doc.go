// Package upload is the handler that stores files for clients whose token permits it,
// for sites without an application: the directive download_token_upload, behind
// download_token with `methods`.
package upload
