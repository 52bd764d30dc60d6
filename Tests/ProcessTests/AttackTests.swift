// SPDX-License-Identifier: MIT
import Foundation
import Glibc
import PomeloBytes
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

/// What the environment asks for.
private enum Wanted {
    /// The length of an attack; without it there is none.
    static let seconds = number("POMELO_ATTACK_SECONDS")
    /// Rounds per attack, of which the best counts as the figure; every one must keep the deadline.
    static let rounds = number("POMELO_ATTACK_ROUNDS").map { Int($0) } ?? 1

    private static func number(_ name: String) -> Double? {
        ProcessInfo.processInfo.environment[name].flatMap(Double.init)
    }
}

/// Attackers in other processes, at real sockets, while an innocent client uses the same connector.
///
/// They need the machine for themselves: `./dev test` and `./dev attack` run them alone, by `POMELO_ATTACK_SECONDS`.
@Suite(.serialized, .enabled(if: Wanted.seconds != nil)) struct AttackTests {
    /// The longest an innocent client may wait.
    private static let deadline = 2000.0
    /// What a connector may take, in bytes, however it is attacked.
    private static let memoryBound = 256 << 20

    private static let attacks: [(name: String, clients: Int)] = [
        ("none", 0), ("notifies", 6), ("notifies", 16), ("requests", 6), ("requests", 16), ("forwarded", 6),
        ("fragments", 6), ("slow", 6), ("handshakes", 6), ("silence", 4), ("combining", 2),
    ]

    /// On clients of socket.io, by those who speak it.
    private static let socketIOAttacks: [(name: String, clients: Int)] = [
        ("sessions", 6), ("sessions-anywhere", 6), ("strangers", 6), ("overlaps", 6), ("upgrades", 6),
        ("slowbodies", 4), ("pipeline", 6), ("heads", 6), ("tightpolls", 6),
    ]

    @Test @Loop func anInnocentClientIsAnswered() async throws { try await survives(Self.attacks) }

    @Test @Loop func soItIsAmongHostilePollers() async throws { try await survives(Self.socketIOAttacks) }

    @Loop private func survives(_ attacks: [(name: String, clients: Int)]) async throws {
        let chat = try await ServerProcesses.start("Chat", config: "config")
        for (name, clients) in attacks {
            var best: JSON?
            for _ in 0..<Wanted.rounds {
                let result = try await attack(name, clients, on: chat)
                #expect(result["closed"] == false, "\(result)")
                for wait in ["max_ms", "socket_max_ms", "polling_max_ms", "newcomer_ms", "newcomer_polling_ms"] {
                    #expect(result[wait]?.double ?? .infinity < Self.deadline, "\(wait) of \(result)")
                }
                if result["p99_ms"]?.double ?? .infinity < best?["p99_ms"]?.double ?? .infinity { best = result }
            }
            let connector = chat["connector-server-1"]
            let memory = try Self.residentBytes(connector.pid)
            let figures = String(decoding: (best ?? .null).encoded(), as: UTF8.self)
            Console.figure("\(figures) connector: \(memory >> 20) MiB, \(connector.lines.count) lines")
            #expect(memory < Self.memoryBound, "\(name)")
        }
        for id in chat.ids {
            let suspicions = chat[id].lines.filter { $0.contains("does not answer") }
            #expect(suspicions.isEmpty, "\(id)")
        }
        let seconds = (Wanted.seconds ?? 0) * Double(attacks.count * Wanted.rounds)
        #expect(Double(chat["connector-server-1"].lines.count) < 100 + 100 * seconds, "log lines")
        try await chat.stop()
    }

    /// As the attacker counts them, from outside; what the connector takes is told by the kernel.
    @Test(arguments: [(true, 10_000, 8192), (false, 2000, 512)])
    @Loop func sessionsThatNeverPollAreBoundedAndEnd(_ anywhere: Bool, _ count: Int, _ bound: Int) async throws {
        let chat = try await ServerProcesses.start("Chat", config: "config")
        let connector = chat["connector-server-1"]
        let before = try Self.residentBytes(connector.pid)
        let words = ["--sessions", "\(count)"] + (anywhere ? ["--anywhere"] : [])
        let result = try await attack("crowd", 1, on: chat, atLeast: 60, words)
        let memory = try Self.residentBytes(connector.pid)
        let figures = String(decoding: result.encoded(), as: UTF8.self)
        Console.figure("\(figures) connector: \(before >> 20), then \(memory >> 20) MiB")
        #expect(result["begun"] == .int(Int64(count)))
        // As many as may be, unless the first have ended by then.
        let known = Int(result["known"]?.int ?? 0)
        let seconds = (result["opened_s"]?.double ?? 0) + (result["counted_s"]?.double ?? 0)
        #expect(known == bound || known < bound && seconds > 9, "\(result)")
        #expect(result["left"] == 0, "\(result)")
        #expect(result["newcomer_ms"]?.double ?? .infinity < Self.deadline, "\(result)")
        #expect(memory < Self.memoryBound)
        try await chat.stop()
    }

    @Test @Loop func logsCannotBeForged() async throws {
        let chat = try await ServerProcesses.start("Chat", config: "config")
        _ = try await attack("forgery", 2, on: chat)
        let lines = chat["connector-server-1"].lines
        #expect(lines.contains { $0.contains("FORGED") }, "the attack is told")
        #expect(lines.allSatisfy { !$0.contains("FORGED") || $0.contains("request failed") }, "and stays in its line")
        #expect(lines.allSatisfy { !$0.contains("\u{1B}") })
        try await chat.stop()
    }

    /// Silent connections take all they can get; what the server itself needs is not among it.
    @Test @Loop func aSilentFloodLeavesDescriptorsForRedis() async throws {
        let chat = try await ServerProcesses.start("Chat", config: "config")
        let id = "connector-server-1"
        chat[id].signal(SIGTERM)
        _ = try await chat.awaitExit(id)
        try chat.launch(id, descriptors: 256)
        try await chat.awaitUp(id)
        let flood = Loop.task { try await attack("silence", 8, on: chat, atLeast: 8) }
        try await eventually("the flood is told") { chat[id].lines.contains { $0.contains("make room") } }

        await chat.redis.kill9()
        try await eventually("Redis is missed") { chat[id].lines.contains { $0.contains("redis is away") } }
        try await chat.redis.restart(empty: false)
        try await eventually("Redis is back") {
            chat[id].lines.drop { !$0.contains("redis is away") }.contains { $0.contains("redis is connected") }
        }
        let ann = try await chat.connect(id)
        try await eventually("a user enters") {
            try await ann.request("connector.entryHandler.enter", ["username": "ann", "rid": "hall"])["users"] != nil
        }
        #expect(try await ann.request("chat.chatHandler.send", ["content": "x", "target": "*"]) == [:])
        let result = try await flood.value
        #expect(result["closed"] == false, "\(result)")
        let told = chat[id].lines.count { $0.contains("make room") || $0.contains("no room") }
        #expect(told <= 8, "once per burst")
        ann.close()
        try await chat.stop()
    }

    // MARK: parts

    @Loop private func attack(
        _ name: String, _ clients: Int, on chat: ServerProcesses, atLeast: Double = 0, _ more: [String] = []
    ) async throws -> JSON {
        var lines: [String] = []
        var status: ChildProcess.Ending?
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Attacks/attack.py").path
        let seconds = max(Wanted.seconds ?? 2, atLeast)
        let words =
            [
                script, "--port", "\(chat.clientPorts["connector-server-1"] ?? 0)", "--attack", name, "--clients",
                "\(clients)", "--seconds", "\(seconds)",
            ] + more
        let program = try ChildProcess(
            ChildProcess.Command("python3", words), onLine: { lines.append($0) }, onExit: { status = $0 })
        try await eventually("\(name) ends", within: .seconds(Int64(seconds) + 30)) { status != nil }
        _ = program.pid
        guard status == .exited(0), let last = lines.last else {
            throw Unmet(description: "the attack \(name) ended \(String(describing: status)): \(lines.suffix(5))")
        }
        return try JSON.parse(Bytes(last.utf8))
    }

    private static func residentBytes(_ pid: Int32) throws -> Int {
        let text = try String(contentsOfFile: "/proc/\(pid)/statm", encoding: .utf8)
        return text.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 * Int(getpagesize()) } ?? 0
    }
}

extension Loop {
    fileprivate static func task<T: Sendable>(
        _ body: @escaping @Loop @Sendable () async throws -> T
    ) -> Task<T, any Error> { Task { try await body() } }
}
