// SPDX-License-Identifier: MIT
import Foundation

/// A folder of a test's own, gone with it.
final class Folder: Sendable {
    let path: String

    init() throws {
        let base = URL(fileURLWithPath: NSTemporaryDirectory())
        path = try FileManager.default.url(
            for: .itemReplacementDirectory, in: .userDomainMask, appropriateFor: base, create: true
        ).path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func append(_ text: String, to name: String) throws {
        let file = "\(path)/\(name)"
        if !FileManager.default.fileExists(atPath: file) { try Data().write(to: URL(fileURLWithPath: file)) }
        guard let handle = FileHandle(forWritingAtPath: file) else { return }
        defer { try? handle.close() }
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(text.utf8))
    }

    func text(_ name: String) -> String { (try? String(contentsOfFile: "\(path)/\(name)", encoding: .utf8)) ?? "" }

    func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(path)/\(name)") }
}
