// SPDX-License-Identifier: MIT
import Foundation
package import PomeloJSON

/// A file of the configuration folder that is read again when it has changed while the server runs.
package struct LiveFile: Sendable {
    /// What is different once the file was written, put in another's place, or is gone.
    package struct Stamp: Equatable, Sendable {
        fileprivate let marks: [FileMark?]

        /// Whether there is a file.
        package var exists: Bool { marks.contains { $0 != nil } }
    }

    private let folder: String
    private let env: String
    private let name: String
    private let maxBytes: Int

    init(folder: String, env: String, name: String, maxBytes: Int) {
        self.folder = folder
        self.env = env
        self.name = name
        self.maxBytes = maxBytes
    }

    private var file: ConfigurationFile {
        ConfigurationFile(folder: folder, env: env, name: name, maxBytes: maxBytes)
    }

    /// As messages name it.
    package var path: String { "\(folder)/\(name).json" }

    /// What there is now; asks the file system.
    package func stamp() -> Stamp { Stamp(marks: file.marks) }

    /// The part that counts for this environment; nil when there is no file.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file, and the place in it when it is no JSON.
    package func read() throws -> JSON? {
        // Not with `?:`, where nil would be the null of JSON.
        guard file.exists else { return Optional.none }
        return try file.whole().value
    }
}

/// What tells one state of a file from another.
struct FileMark: Equatable, Sendable {
    let bytes: Int
    private let changed: Date?
    private let number: Int?

    /// Nil when there is no such file.
    init?(_ path: String) {
        do {
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            bytes = (attributes[.size] as? NSNumber)?.intValue ?? 0
            changed = attributes[.modificationDate] as? Date
            number = (attributes[.systemFileNumber] as? NSNumber)?.intValue
        } catch {
            return nil
        }
    }
}
