// SPDX-License-Identifier: MIT
import Pomelo

/// A line of the console, understood.
enum ConsoleLine: Equatable {
    case nothing
    case help
    /// The server that the next lines are for, or all.
    case use(String)
    /// What the servers are asked.
    case ask(JSON)
    /// What a module of the master is asked, about those servers.
    case module(String, JSON)

    /// Of a line.
    static let mostBytes = 8192

    static let manual = """
        use <id | all>                       the servers that the next lines are for
        show \(WatchServer.subjects.joined(separator: " | "))
        get <key>                            a setting of the application
        set <key> <value>                    JSON, or else a text
        enable <key>, disable <key>          a setting that is true or false
        enable module <id>, disable module <id>
        module <id> [<message>]              asks a module: systemInfo, nodeInfo, onlineUser, monitorLog {"number": 50},
                                             profiler {"seconds": 5}, or one of the program's own; JSON
        addCron id=… time="…" action=…       removeCron <id>
        kick <uid> [<reason>]                ends the sessions of a user
        blacklist [[add] <address> ...]      shows whom frontends do not serve, or adds addresses and networks
        blacklist remove <address> ...       serves them again
        help, quit
        """

    /// - Throws: `PomeloError` `.configuration` saying what the line lacks.
    init(_ line: String) throws {
        // A value is JSON, and keeps its quotation marks.
        let parts = line.split(separator: " ", maxSplits: 2).map(String.init)
        if parts.count == 3, parts[0] == "set" {
            self = .ask(["set": .string(parts[1]), "value": Self.value(parts[2])])
            return
        }
        if let verb = parts.first, verb == "module", parts.count > 1 {
            self = .module(parts[1], try Self.message(parts.dropFirst(2).first))
            return
        }
        let words = try Self.words(line)
        guard let verb = words.first else {
            self = .nothing
            return
        }
        let rest = Array(words.dropFirst())
        switch (verb, rest.count) {
        case ("help", 0): self = .help
        case ("use", 1): self = .use(rest[0])
        case ("show", 1), ("get", 1), ("enable", 1), ("disable", 1), ("removeCron", 1):
            self = .ask(.object([verb: .string(rest[0])]))
        case ("enable", 2) where rest[0] == "module": self = .ask(["enableModule": .string(rest[1])])
        case ("disable", 2) where rest[0] == "module": self = .ask(["disableModule": .string(rest[1])])
        case ("kick", 1): self = .ask(["kick": .string(rest[0])])
        case ("kick", 2): self = .ask(["kick": .string(rest[0]), "reason": .string(rest[1])])
        case ("blacklist", 0),
            ("blacklist", 1) where rest == ["list"]:
            self = .ask(["blacklist": "list"])
        case ("blacklist", 1...): self = .ask(try Self.blacklist(rest))
        case ("addCron", 1...): self = .ask(["addCron": try Self.fields(rest)])
        default:
            let shown = line.escapedForLog(maxBytes: 128)
            throw PomeloError(.configuration, "\"\(shown)\" is no line of the console; see help")
        }
    }

    private static func blacklist(_ words: [String]) throws -> JSON {
        let isNamed = words[0] == "add" || words[0] == "remove"
        let addresses = isNamed ? words.dropFirst() : words[...]
        guard !addresses.isEmpty else { throw PomeloError(.configuration, "blacklist \(words[0]) takes addresses") }
        return [
            "blacklist": .string(isNamed ? words[0] : "add"), "addresses": .array(addresses.map { .string($0) }),
        ]
    }

    private static func fields(_ words: [String]) throws -> JSON {
        var fields = JSONObject()
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else {
                throw PomeloError(.configuration, "addCron takes key=value, and not \"\(word.forLog)\"")
            }
            fields[parts[0]] = .string(parts[1])
        }
        return .object(fields)
    }

    private static func message(_ text: String?) throws -> JSON {
        do {
            return try text.map { try JSON.parse(Bytes($0.utf8)) } ?? [:]
        } catch {
            throw PomeloError(.configuration, "a module is asked in JSON, as {\"number\": 50}: \(error)")
        }
    }

    private static func value(_ text: String) -> JSON {
        do {
            return try JSON.parse(Bytes(text.utf8))
        } catch {
            return .string(text)
        }
    }

    /// Words are between spaces; a part of one may stand in quotes, where a space is a space.
    private static func words(_ line: String) throws -> [String] {
        var words: [String] = []
        var word: String?
        var isQuoted = false
        for character in line {
            if character == "\"" {
                isQuoted.toggle()
                word = word ?? ""
            } else if character == " ", !isQuoted {
                if let word { words.append(word) }
                word = nil
            } else {
                word = word ?? ""
                word?.append(character)
            }
        }
        guard !isQuoted else { throw PomeloError(.configuration, "a quotation mark is missing") }
        return words + (word.map { [$0] } ?? [])
    }
}
