// SPDX-License-Identifier: MIT
import Foundation

/// What the next supervisor of a folder is to know: which processes run, and which were stopped on purpose.
struct SupervisorState: Codable, Equatable {
    var running: [String: ProcessIdentity] = [:]
    var stopped: Set<String> = []
    /// Of servers that no file names, the words that tell a process that it is this one.
    var added: [String: [String]]?
    /// The last supervisor itself.
    var supervisor: ProcessIdentity?
    /// Of the last supervisor that held an office; one with a lower token does nothing any more.
    var token: UInt64?

    private static func file(_ folder: String) -> URL { URL(fileURLWithPath: "\(folder)/processes.json") }

    /// Nothing, where there is no such file or it cannot be read: nothing is adopted then.
    static func load(_ folder: String) -> SupervisorState {
        guard let data = Files.data(file(folder).path) else { return SupervisorState() }
        do {
            return try JSONDecoder().decode(SupervisorState.self, from: data)
        } catch {
            return SupervisorState()
        }
    }

    /// As a whole or not at all.
    func save(_ folder: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(self).write(to: Self.file(folder), options: .atomic)
    }
}
