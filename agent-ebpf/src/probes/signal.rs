//! `signal_deliver(sig, info, action)`, include/trace/events/signal.h: a signal is taken by the
//! process it was sent to. Comes by for every signal, so that the first look decides.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;

use crate::signal::on_illegal;

/// signal(7).
const SIGILL: i32 = 4;

#[raw_tracepoint(tracepoint = "signal_deliver")]
fn signal(ctx: RawTracePointContext) -> i32 {
    if ctx.arg::<i32>(0) == SIGILL {
        on_illegal(ctx.arg(1), ctx.arg(2));
    }
    0
}
