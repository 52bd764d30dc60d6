// SPDX-License-Identifier: MIT
import Foundation
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

/// README tells which rights a Redis user needs: exactly those that are used, and enough for everything.
@Suite(.serialized) struct AccessTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static func text(_ path: String) throws -> String {
        String(decoding: try Data(contentsOf: root.appendingPathComponent(path)), as: UTF8.self)
    }

    /// The words of `ACL SETUSER …` in README, which goes over several lines.
    private static func rules() throws -> [String] {
        let lines = try text("README.md").split(separator: "\n", omittingEmptySubsequences: false)
        let first = try #require(lines.firstIndex { $0.hasPrefix("ACL SETUSER pomelo") })
        let block = lines[first...].prefix { !$0.hasPrefix("```") }
        return block.joined(separator: " ").replacing("\\", with: " ").split(separator: " ").map(String.init)
    }

    /// Prepares Chat with that user, changed by further rules.
    @Loop private func prepare(_ more: [String] = []) async throws -> ServerProcesses {
        let chat = try await ServerProcesses.prepare("Chat", config: "config")
        #expect(try await chat.redisCommand(try Self.rules() + more) == "OK")
        try chat.write(
            "redis",
            [
                "development": [
                    "host": "127.0.0.1", "port": .int(Int64(chat.redis.port)), "username": "pomelo",
                    "password": "secret",
                ]
            ])
        try chat.write("guests", ["development": ["file": .string("\(chat.folder)/guests.sqlite")]])
        return chat
    }

    /// Redis notes every refusal; after a whole life of the cluster there is none.
    @Test @Loop func theRightsInReadmeAreEnoughForTheWholeCluster() async throws {
        let chat = try await prepare()
        try await chat.startAll()
        let ann = try await chat.enter("ann", "r", at: "connector-server-1")
        let bob = try await chat.enter("bob", "r", at: "connector-server-2")
        #expect(try await ann.request("chat.chatHandler.send", ["content": "hi", "target": "*"]) == [:])
        #expect(try await ann.request("chat.chatHandler.send", ["content": "hi", "target": "bob"]) == [:])
        // A clean-up after a dead server, and one after a former instance.
        chat["connector-server-2"].signal(9)
        _ = try await chat.awaitExit("connector-server-2")
        try chat.launch("connector-server-2")
        try await chat.awaitUp("connector-server-2")
        try await eventually("what is left is gone", within: .seconds(20)) {
            try await chat.redisSet("POMELO:STATUS:bob*r").isEmpty
        }
        bob.close()
        ann.close()
        try await eventually("ann is gone", within: .seconds(20)) {
            try await chat.redisSet("POMELO:STATUS:ann*r").isEmpty
        }
        let refusals = try await chat.redisCommand(["ACL", "LOG"])
        #expect(refusals.isEmpty, "\(refusals)")
        for id in chat.ids where id.hasPrefix("chat") { chat[id].signal(15) }
        for id in chat.ids where id.hasPrefix("chat") { #expect(try await chat.awaitExit(id) == .exited(0)) }
        try await chat.stop()
    }

    @Test(arguments: ["xadd", "hset", "evalsha", "zrangebyscore"])
    @Loop func aMissingRightNamesTheCommand(_ command: String) async throws {
        let chat = try await prepare(["-\(command)"])
        try chat.launch("chat-server-1")
        #expect(try await chat.awaitExit("chat-server-1", within: .seconds(80)) != .exited(0))
        let lines = chat["chat-server-1"].lines
        #expect(lines.contains { $0.lowercased().contains(command) }, "\(lines)")
        try await chat.stop()
    }

    /// Every command that our sources send, and nothing else.
    @Test func theRightsInReadmeAreThoseThatAreUsed() throws {
        let rules = try Self.rules()
        let granted = Set(rules.filter { $0.hasPrefix("+") }.map { $0.dropFirst().uppercased() })
        var used: Set<String> = []
        let sources = Self.root.appendingPathComponent("Sources")
        let files = FileManager.default.enumerator(atPath: sources.path)?.compactMap { $0 as? String } ?? []
        for file in files where !file.hasPrefix("PomeloTesting") {
            if file.hasSuffix(".swift") {
                let code = try Self.text("Sources/\(file)").split(separator: "\n")
                    .filter { !$0.drop { $0 == " " }.hasPrefix("//") }.joined(separator: "\n")
                let commands = code.matches(of: /(?:RedisCommand|chunked)\(\s*"([A-Z]+)"(?:,\s*"([A-Z]{3,})")?/)
                for match in commands { used.insert(Self.name(match.1, match.2)) }
                // One of two, whichever it is; channels of shards are for users' own programs.
                for match in code.matches(of: /RedisCommand\([\w. =]+ \? "S?([A-Z]+)" : "([A-Z]+)"/) {
                    used.formUnion([String(match.1), String(match.2)])
                }
            } else if file.hasSuffix(".lua") {
                for match in try Self.text("Sources/\(file)").matches(of: /redis\.p?call\('([A-Z]+)'/) {
                    used.insert(String(match.1))
                }
            }
        }
        // Always allowed, and not a right.
        used.remove("AUTH")
        // Not on one server.
        let elsewhere = [
            "CLUSTER": "+cluster|slots", "ASKING": "+asking", "SENTINEL": "+sentinel|get-master-addr-by-name",
        ]
        let readme = try Self.text("README.md")
        for (command, right) in elsewhere { #expect(used.remove(command) != nil && readme.contains(right)) }
        #expect(used.subtracting(granted) == [], "README lacks these")
        #expect(granted.subtracting(used) == [], "README grants these for nothing")
    }

    private static func name(_ command: Substring, _ sub: Substring?) -> String {
        guard let sub, ["CLIENT", "CONFIG", "SCRIPT"].contains(command) else { return String(command) }
        return "\(command)|\(sub)"
    }
}
