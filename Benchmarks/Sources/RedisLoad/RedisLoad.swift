// SPDX-License-Identifier: MIT
//
// RedisLoad: what our Redis client costs, many commands with one await or one await a command.
import CAllocations
import Glibc
import Pomelo
import PomeloRedis

/// `RedisLoad <get|set|sadd|evalsha> <in flight> <count> <way> <port>...` prints what it has used.
///
/// Ways are `pipelined` and `awaited`, and `wide-pipelined` and `wide-awaited`: the same in a process whose every task
/// is the loop's, as server programs are (`ProcessWideExecutor`).
///
/// With several ports, these are the primaries of a cluster.
@main struct RedisLoad {
    static func main() async throws {
        let words = CommandLine.arguments.dropFirst()
        guard words.count >= 5, let work = Work(words[1]), let inFlight = Int(words[2]), let count = Int(words[3])
        else {
            throw Usage(
                description: "usage: RedisLoad get|set|sadd|evalsha in-flight count [wide-]pipelined|awaited port...")
        }
        let places = words.dropFirst(4).compactMap { Int($0) }.map { SocketAddress(host: "127.0.0.1", port: $0) }
        let isPipelined = words[4].hasSuffix("pipelined")
        if words[4].hasPrefix("wide-"), await !ProcessWideExecutor.install() {
            throw Usage(description: "no executor hooks")
        }
        try await Loop.run {
            let redis = RedisClient(
                RedisConfiguration(places.count == 1 ? .standalone(places[0]) : .cluster(seeds: places)))
            try await redis.start()
            let load = Load(redis, work, inFlight: inFlight)
            func run(_ count: Int) async throws {
                if isPipelined { try await load.pipelined(count) } else { try await load.awaited(count) }
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
            await redis.stop()
        }
    }

    private static func now(_ clock: clockid_t) -> Int {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}

struct Usage: Error, CustomStringConvertible { let description: String }

/// Which command is sent.
enum Work: String {
    case get, set, sadd, evalsha

    init?(_ name: String) { self.init(rawValue: name) }
}

/// Commands on a thousand keys in turn, each made anew as a program makes it.
@Loop final class Load {
    private let redis: RedisClient
    private let work: Work
    private let inFlight: Int
    private let keys: [String]
    private let script = RedisScript(name: "get", source: "return redis.call('GET', KEYS[1])")
    private var next = 0
    private var failure: (any Error)?
    private static let value = "0123456789abcdef0123456789abcdef"

    init(_ redis: RedisClient, _ work: Work, inFlight: Int) {
        self.redis = redis
        self.work = work
        self.inFlight = inFlight
        keys = (0..<1000).map { number in
            let digits = String(number)
            let zeros = String(repeating: "0", count: 12 - digits.count)
            return (work == .sadd ? "set:" : "key:") + zeros + digits
        }
    }

    private func key() -> String {
        next = next + 1 == keys.count ? 0 : next + 1
        return keys[next]
    }

    private func command() -> RedisCommand {
        switch work {
        case .get, .evalsha: RedisCommand("GET", arguments: [.text(key())])
        case .set: RedisCommand("SET", arguments: [.text(key()), .text(Self.value)])
        case .sadd: RedisCommand("SADD", arguments: [.text(key()), "member"])
        }
    }

    /// As many commands as may be in flight, then all their replies.
    func pipelined(_ count: Int) async throws {
        var left = count
        while left > 0 {
            let many = min(left, inFlight)
            left -= many
            let replies: [RedisReply]
            if work == .evalsha {
                replies = try await redis.execute((0..<many).map { _ in .script(script, keys: [key()], args: []) })
            } else {
                replies = try await redis.pipeline((0..<many).map { _ in command() })
            }
            for reply in replies {
                if let text = reply.errorText { throw Usage(description: text) }
            }
        }
    }

    /// As many tasks as may be in flight, with one command each.
    func awaited(_ count: Int) async throws {
        let tasks = (0..<inFlight).map { index in
            let own = count / inFlight + (index < count % inFlight ? 1 : 0)
            return Loop.spawn {
                do { try await self.one(own) } catch { self.failure = error }
            }
        }
        for task in tasks { await task.value }
        if let failure { throw failure }
    }

    private func one(_ count: Int) async throws {
        for _ in 0..<count {
            if work == .evalsha {
                _ = try await redis.run(script, keys: [key()], args: [])
            } else {
                _ = try await redis.send(command())
            }
        }
    }
}
