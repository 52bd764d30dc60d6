// SPDX-License-Identifier: MIT
import Foundation

/// Whom the command speaks to, wherever what it logs goes.
struct Terminal: Sendable {
    private let output: FileHandle
    private let errors: FileHandle

    init() {
        output = .standardOutput
        errors = .standardError
    }

    /// A descriptor that both are written to.
    init(_ descriptor: Int32) {
        output = FileHandle(fileDescriptor: descriptor)
        errors = output
    }

    func line(_ text: String) { write(text, to: output) }
    func error(_ text: String) { write(text, to: errors) }

    private func write(_ text: String, to handle: FileHandle) {
        do {
            try handle.write(contentsOf: Data((text + "\n").utf8))
        } catch {
            // A terminal that is gone is no reason to end.
        }
    }
}
