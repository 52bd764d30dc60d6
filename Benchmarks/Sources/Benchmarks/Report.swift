// SPDX-License-Identifier: MIT
import Foundation

/// One line of the table.
struct Row {
    let name: String
    /// Computed on the back of an envelope before anything was measured; the reasoning is beside it in the source.
    let expected: String
    var plain: String
    var pooled = "–"
    var c = "–"
    var ratio = "–"
    var target = "–"
    var verdict = "–"
}

/// The table: Markdown that is also readable as it is.
struct Report {
    private static let heads = [
        "what", "expected", "ours", "ours, own tasks on a pool", "C", "ratio (with a pool)", "target", "met",
    ]
    private var rows: [Row] = []

    mutating func add(_ row: Row) {
        rows.append(row)
        Benchmarks.say("  \(row.name): \(row.plain), with a pool \(row.pooled), C \(row.c)")
    }

    var text: String {
        let cells = rows.map { row in
            [row.name, row.expected, row.plain, row.pooled, row.c, row.ratio, row.target, row.verdict]
        }
        let widths = Self.heads.indices.map { column in
            ([Self.heads] + cells).map { $0[column].count }.max() ?? 0
        }
        func line(_ cells: [String]) -> String {
            let padded = zip(cells, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.count)
            }
            return "| " + padded.joined(separator: " | ") + " |"
        }
        let rule = "|" + widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "|") + "|"
        return ([line(Self.heads), rule] + cells.map(line)).joined(separator: "\n")
    }
}

extension Double {
    /// With so many digits behind the point.
    func text(_ digits: Int = 2) -> String { String(format: "%.\(digits)f", self) }
}

/// Whether both variants keep their targets.
func verdict(_ plain: Bool, _ pooled: Bool) -> String {
    switch (plain, pooled) {
    case (true, true): "yes"
    case (false, false): "no"
    case (true, false): "default only"
    case (false, true): "with a pool only"
    }
}
