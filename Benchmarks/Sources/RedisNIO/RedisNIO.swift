// SPDX-License-Identifier: MIT
//
// RedisNIO: a plain RESP client on SwiftNIO, written straight, to be measured beside ours.
// Reading order: RedisNIO, RESP.
import CAllocations
import Glibc
import NIOCore
import NIOPosix

/// `RedisNIO <get|set|sadd|evalsha> <in flight> <count> <pipelined|awaited> <port>` prints what it has used.
@main struct RedisNIO {
    static func main() async throws {
        let words = CommandLine.arguments.dropFirst()
        guard words.count == 5, let inFlight = Int(words[2]), let count = Int(words[3]), let port = Int(words[5])
        else {
            throw Usage(description: "usage: RedisNIO get|set|sadd|evalsha in-flight count pipelined|awaited port")
        }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let client = try await Client.connect(group, port)
        let digest = try await client.pipeline([["SCRIPT", "LOAD", "return redis.call('GET', KEYS[1])"]])[0].text
        let load = Load(client: client, name: words[1], digest: digest, inFlight: inFlight)
        func run(_ count: Int) async throws {
            if words[4] == "pipelined" { try await load.pipelined(count) } else { try await load.awaited(count) }
        }
        let warm = count / 10 + inFlight
        try await run(warm)
        let allocated = allocations()
        let (wall, cpu) = (now(CLOCK_MONOTONIC), now(CLOCK_PROCESS_CPUTIME_ID))
        try await run(count)
        let usedCPU = now(CLOCK_PROCESS_CPUTIME_ID) - cpu
        let usedWall = now(CLOCK_MONOTONIC) - wall
        print(
            "operations=\(count) all=\(count + warm) wall_ns=\(usedWall) cpu_ns=\(usedCPU)"
                + " allocations=\(allocations() - allocated)")
        try await group.shutdownGracefully()
    }

    private static func now(_ clock: clockid_t) -> Int {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}

struct Usage: Error, CustomStringConvertible { let description: String }

/// Commands on a thousand keys in turn.
struct Load: Sendable {
    let client: Client
    let name: String
    let digest: String
    let inFlight: Int

    private static let keys = names("key:")
    private static let sets = names("set:")

    private static func names(_ prefix: String) -> [String] {
        (0..<1000).map { number in
            let digits = String(number)
            return prefix + String(repeating: "0", count: 12 - digits.count) + digits
        }
    }

    private func command(_ number: Int) -> [String] {
        switch name {
        case "get": ["GET", Self.keys[number % 1000]]
        case "set": ["SET", Self.keys[number % 1000], "0123456789abcdef0123456789abcdef"]
        case "sadd": ["SADD", Self.sets[number % 1000], "member"]
        default: ["EVALSHA", digest, "1", Self.keys[number % 1000]]
        }
    }

    func pipelined(_ count: Int) async throws {
        var sent = 0
        while sent < count {
            let many = min(count - sent, inFlight)
            _ = try await client.pipeline((sent..<(sent + many)).map(command))
            sent += many
        }
    }

    func awaited(_ count: Int) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for index in 0..<inFlight {
                let own = count / inFlight + (index < count % inFlight ? 1 : 0)
                tasks.addTask {
                    for number in 0..<own { _ = try await client.send(command(index * own + number)) }
                }
            }
            try await tasks.waitForAll()
        }
    }
}
