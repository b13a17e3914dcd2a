//! Where panels stand: in their order, from left to right and then below, so that a new one moves
//! only those after it.

use tahoe_schemas::dashboard::{Kind, Panel};

/// Columns of a dashboard.
const WIDTH: u32 = 48;

/// A panel's place, in Kibana's columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
    /// Columns.
    pub w: u32,
    /// Rows.
    pub h: u32,
}

/// Fills rows.
#[derive(Default)]
pub struct Grid {
    x: u32,
    y: u32,
    row_height: u32,
}

impl Grid {
    /// The place of the next panel.
    pub fn next(&mut self, (w, h): (u32, u32)) -> Place {
        if self.x + w > WIDTH {
            self.end_row();
        }
        let place = Place { x: self.x, y: self.y, w, h };
        self.x += w;
        self.row_height = self.row_height.max(h);
        place
    }

    /// What comes next begins a row.
    pub fn end_row(&mut self) {
        self.y += self.row_height;
        (self.x, self.row_height) = (0, 0);
    }
}

/// Its own width and height, or those of its kind: four numbers or two charts in a row.
pub fn size(panel: &Panel) -> (u32, u32) {
    match (panel.size, panel.kind) {
        (Some((w, h)), _) => (w.into(), h.into()),
        (None, Kind::Number) => (12, 6),
        (None, Kind::Documents) => (WIDTH, 16),
        (None, _) => (24, 12),
    }
}

/// The size of a heading with `lines` lines of text below it.
pub fn heading(lines: u32) -> (u32, u32) {
    (WIDTH, 3 + lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_that_does_not_fit_begins_the_next_row_below_the_highest() {
        let mut grid = Grid::default();
        assert_eq!(grid.next((24, 6)), Place { x: 0, y: 0, w: 24, h: 6 });
        assert_eq!(grid.next((12, 9)), Place { x: 24, y: 0, w: 12, h: 9 });
        assert_eq!(grid.next((24, 6)), Place { x: 0, y: 9, w: 24, h: 6 });
        grid.end_row();
        assert_eq!(grid.next((48, 3)), Place { x: 0, y: 15, w: 48, h: 3 });
    }
}
