//! Every usage example of django-cacheops 7.2's README that concerns queries, in the order of that text, with the
//! same meaning here. Where the meaning had to change, the test says so.

mod invalidation;
mod special;
mod usage;
