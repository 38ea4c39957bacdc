//! A picture on a terminal that is drawn again and again.

use std::fmt::Write as _;

use super::print;
use crate::show;

/// One picture: drawn over the last one line by line, in a single write, so that nothing flickers.
pub(super) fn frame(text: &str) -> String {
    let height = terminal_size::terminal_size().map_or(usize::MAX, |(_, height)| height.0.into());
    // One line for the title, one for what was left out, one for the cursor.
    let room = height.saturating_sub(3);
    // ECMA-48: cursor to the top left; erase to the end of the line; erase what is below.
    let mut frame = format!("\x1b[H{}  (Ctrl-C ends)\x1b[K\n", show::human::utc_now());
    for line in text.lines().take(room) {
        // Writing to a String cannot fail.
        let _ = writeln!(frame, "{line}\x1b[K");
    }
    let left_out = text.lines().count().saturating_sub(room);
    if left_out > 0 {
        let _ = writeln!(frame, "... and {left_out} more line(s)\x1b[K");
    }
    frame.push_str("\x1b[J");
    frame
}

/// Hides the cursor and clears the screen; shows the cursor again when dropped.
#[derive(Debug)]
pub(super) struct HiddenCursor;

impl HiddenCursor {
    pub(super) fn hide() -> Self {
        // If the terminal is gone, the next picture fails.
        let _ = print("\x1b[?25l\x1b[2J");
        Self
    }
}

impl Drop for HiddenCursor {
    fn drop(&mut self) {
        let _ = print("\x1b[?25h");
    }
}
