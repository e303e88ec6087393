// Package store is the boundary between the handlers and what remembers which
// one-time tokens were used and which tokens were taken back. It has the interfaces
// that a store implements, the app download_token, which owns the stores, its admin
// API, and the pool that keeps a store open across configurations.
//
// # How to use it
//
//	use, err := s.Admit(ctx, query, clock) // after every other check has passed
//	if err != nil { ... }                  // refuse
//	defer use.Release()                    // gives back what was not committed
//	...                                    // find out whether there is a body
//	if _, err := use.Commit(ctx, terms); err != nil { ... } // 503, and no byte
//	...                                    // only now the first byte
//
// A token counts as honoured when Commit has returned nil. What a store can vouch
// for, and what the caller must have checked, is written in package rules.
//
// # How to write one
//
// A store is a guest module in the namespace download_token.stores that implements
// [Module]. What it opens implements [Store], and Stop; a [Pool] makes a [Handle] of
// it, which outlives configurations: a new one takes hold of it before the old one
// lets go, and a request holds it for as long as it is in flight. It touches storage
// only from Start on, since a configuration that is merely validated must leave no
// trace. Package storetest is the contract as a test. Package memory is an example.
package store
