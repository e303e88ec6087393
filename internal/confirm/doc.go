// Package confirm has the page that asks people before a download starts, and the
// pages that tell them why there is none; and it knows whether it was the button of
// such a page that sent a request.
package confirm
