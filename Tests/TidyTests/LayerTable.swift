// SPDX-License-Identifier: MIT
import Foundation
import Testing

/// The layer table of ARCHITECTURE.md: which target may import which.
struct LayerTable {
    /// Imports allowed per target.
    let allowed: [String: Set<String>]

    /// Reads rows of the form `| L2 | `PomeloUV` | … | Loop, CLibuv | `.
    init(_ architecture: String) {
        var allowed: [String: Set<String>] = [:]
        for line in architecture.split(separator: "\n") where line.hasPrefix("| L") {
            let cells = line.split(separator: "|", omittingEmptySubsequences: false).map {
                $0.trimmingCharacters(in: .whitespaces)
            }
            guard cells.count >= 6 else { continue }
            let targets = Self.names(cells[2])
            for target in targets { allowed[target] = Set(Self.names(cells[4])) }
        }
        self.allowed = allowed
    }

    private static func names(_ cell: String) -> [String] {
        cell.split(separator: "`").enumerated().filter { $0.offset % 2 == 1 || cell.first == "`" && $0.offset % 2 == 0 }
            .map { String($0.element) }.filter { !$0.contains(",") && !$0.contains(" ") && !$0.isEmpty }
    }
}
