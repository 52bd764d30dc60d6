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

    /// As a whole or not at all; where there is no room for that, over what is there.
    func save(_ folder: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let data = try encoder.encode(self)
        do {
            try data.write(to: Self.file(folder), options: .atomic)
        } catch {
            guard Files.overwrite(Self.file(folder).path, data) else { throw error }
        }
    }

    // MARK: who stands by

    private static let standbySign = ".standby.json"

    /// Each has a file of its own: the other one is its supervisor's alone.
    static func noteStandby(_ name: String, _ identity: ProcessIdentity, _ folder: String) throws {
        let file = URL(fileURLWithPath: "\(folder)/\(name)\(standbySign)")
        try JSONEncoder().encode(identity).write(to: file, options: .atomic)
    }

    /// Of those that have stood by in a folder, whether they run or not.
    static func standbys(_ folder: String) -> [String: ProcessIdentity] {
        var standbys: [String: ProcessIdentity] = [:]
        for file in Files.names(folder) where file.hasSuffix(standbySign) {
            do {
                let data = Files.data("\(folder)/\(file)") ?? Data()
                standbys[String(file.dropLast(standbySign.count))] = try JSONDecoder().decode(
                    ProcessIdentity.self, from: data)
            } catch {
                // Of no process: there is nothing to end.
            }
        }
        return standbys
    }
}
