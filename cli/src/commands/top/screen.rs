//! The terminal: taken while this lives, and left as it was, whatever ends it.

use std::io;

use ratatui::{DefaultTerminal, Frame};

/// A terminal in raw mode, on its other screen.
pub(super) struct Screen(DefaultTerminal);

impl Screen {
    /// Takes the terminal. From now on a panic gives it back before it says what it is.
    pub(super) fn enter() -> io::Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                // Some of it may have been done.
                let _ = ratatui::try_restore();
                Err(error)
            }
        }
    }

    pub(super) fn draw(&mut self, paint: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.0.draw(paint).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to give back.
        let _ = ratatui::try_restore();
        let _ = self.0.show_cursor();
    }
}
