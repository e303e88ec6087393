// Package local has what every store needs that decides in one process: the grants
// that it has opened, with their budgets, and the requests that wait for others.
// What becomes of nonces is the store's own.
//
// Nothing here takes the lock of the store: [Grants] and [Crowd] are guarded by it.
// A [Grant] has a lock of its own, because downloads draw on it all the time.
package local
