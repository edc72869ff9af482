//! Every integration test in one binary: linking once is faster than linking each.
