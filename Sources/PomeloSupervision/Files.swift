// SPDX-License-Identifier: MIT
import Foundation

/// Files that may be absent, and of which it does not matter why they cannot be had.
package enum Files {
    /// The text of a whole file.
    package static func text(_ path: String) -> String? { data(path).map { String(decoding: $0, as: UTF8.self) } }

    /// What is in a folder.
    static func names(_ folder: String) -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder)
        } catch {
            return []
        }
    }

    static func data(_ path: String) -> Data? {
        do {
            return try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            return nil
        }
    }

    package static func size(_ path: String) -> UInt64 {
        // Of what a link leads to: attributes are the link's own.
        guard let file = FileHandle(forReadingAtPath: path) else { return 0 }
        do {
            defer { file.closeFile() }
            return try file.seekToEnd()
        } catch {
            return 0
        }
    }

    /// Writes over what a file has, which may need no more room; whether it was written.
    static func overwrite(_ path: String, _ data: Data) -> Bool {
        guard let file = FileHandle(forUpdatingAtPath: path) else { return false }
        defer { file.closeFile() }
        do {
            try file.write(contentsOf: data)
            try file.truncate(atOffset: UInt64(data.count))
            return true
        } catch {
            return false
        }
    }

    /// What is wrong with a file, for people.
    package static func reason(_ error: any Error) -> String {
        guard error is CocoaError else { return "\(error)" }
        let (whole, path) = (error as NSError, (error as? CocoaError)?.filePath ?? "a file")
        let cause = whole.userInfo[NSUnderlyingErrorKey] as? NSError
        return "\(path) cannot be read or written: \(cause?.localizedDescription ?? "error \(whole.code)")"
    }

    /// A part of a file, as far as it is there.
    static func bytes(of path: String, from offset: UInt64, atMost count: Int) -> Data? {
        guard let file = FileHandle(forReadingAtPath: path) else { return nil }
        do {
            try file.seek(toOffset: offset)
            let bytes = try file.read(upToCount: count)
            try file.close()
            return bytes
        } catch {
            return nil
        }
    }

    /// Whether it could be written.
    @discardableResult
    static func write(_ text: String, to path: String) -> Bool {
        do {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            return true
        } catch {
            return false
        }
    }

    /// Whether it is gone.
    @discardableResult
    package static func remove(_ path: String) -> Bool {
        do {
            try FileManager.default.removeItem(atPath: path)
            return true
        } catch {
            return !FileManager.default.fileExists(atPath: path)
        }
    }

    /// Gives a file the name `<path>.1`, what has that `<path>.2`, and so on; of the last one nothing is kept.
    ///
    /// - Returns: whether it has the other name now.
    @discardableResult
    package static func putAside(_ path: String, keeping count: Int = 5) -> Bool {
        for number in (1..<count).reversed() { move("\(path).\(number)", to: "\(path).\(number + 1)") }
        return move(path, to: "\(path).1")
    }

    /// Whether it has the other name now, in the place of what had it.
    @discardableResult
    private static func move(_ path: String, to other: String) -> Bool {
        guard FileManager.default.fileExists(atPath: path), remove(other) else { return false }
        do {
            try FileManager.default.moveItem(atPath: path, toPath: other)
            return true
        } catch {
            return false
        }
    }
}
