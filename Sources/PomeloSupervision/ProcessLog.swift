// SPDX-License-Identifier: MIT
import Foundation
package import PomeloLoop

/// The file that a process writes its output to, as somebody else reads it.
@Loop package final class ProcessLog {
    /// Of what is new at most so much is read at once, and of the end at most so much looked at.
    private static let pieceBytes = 65_536
    /// A longer one is put aside, as `<path>.1`, before a process writes to it; a server does so itself as it runs.
    package static let mostBytes: UInt64 = 16 << 20

    package nonisolated let path: String
    private var read: UInt64 = 0
    private var rest = Data()

    package init(_ path: String) { self.path = path }

    /// From here on lines are new; called before a process begins to write.
    package func begin() {
        rest = Data()
        read = size
        guard read > Self.mostBytes else { return }
        // What cannot be put aside grows on.
        guard Files.putAside(path) else { return }
        read = 0
    }

    /// The whole lines that have been written since the last call, or since `begin`.
    package func newLines() -> [String] {
        // It was put aside meanwhile.
        if size < read { read = 0 }
        let (from, end) = (read, size)
        guard end > from, let piece = Files.bytes(of: path, from: from, atMost: Self.pieceBytes) else { return [] }
        read += UInt64(piece.count)
        rest += piece
        guard let last = rest.lastIndex(of: UInt8(ascii: "\n")) else {
            if rest.count > Self.pieceBytes { rest = Data() }
            return []
        }
        defer { rest = Data(rest[(last + 1)...]) }
        return Self.lines(rest[...last])
    }

    /// The last lines.
    package func lastLines(_ count: Int) -> [String] {
        let end = size
        let from = end - min(end, UInt64(Self.pieceBytes))
        return Self.lines(Files.bytes(of: path, from: from, atMost: Self.pieceBytes) ?? Data()).suffix(count)
    }

    private static func lines(_ bytes: Data) -> [String] {
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        return lines.map { String(decoding: $0, as: UTF8.self) }
    }

    private var size: UInt64 { Files.size(path) }
}
