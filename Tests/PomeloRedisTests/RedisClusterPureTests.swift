// SPDX-License-Identifier: MIT
import PomeloLoop
import Testing

@testable import PomeloRedis

/// What nodes of a cluster say, and what becomes of it, without any node.
@Suite struct RedisClusterPureTests {
    static let redirections: [(String, Redirection?)] = [
        ("MOVED 3999 127.0.0.1:6381", .moved(KeySlot(number: 3999), SocketAddress(host: "127.0.0.1", port: 6381))),
        ("MOVED 0 ::1:6381", .moved(KeySlot(number: 0), SocketAddress(host: "::1", port: 6381))),
        ("MOVED 1 node-1.example:7000", .moved(KeySlot(number: 1), SocketAddress(host: "node-1.example", port: 7000))),
        ("MOVED 1 :7000", .moved(KeySlot(number: 1), SocketAddress(host: "", port: 7000))),
        ("MOVED 1 ?:7000", .moved(KeySlot(number: 1), SocketAddress(host: "", port: 7000))),
        ("MOVED 1 h:7000@17000,name", .moved(KeySlot(number: 1), SocketAddress(host: "h", port: 7000))),
        ("ASK 16383 h:1", .ask(KeySlot(number: 16_383), SocketAddress(host: "h", port: 1))),
        ("TRYAGAIN Multiple keys request during rehashing of slot", .tryAgain),
        ("CLUSTERDOWN Hash slot not served", .down("CLUSTERDOWN Hash slot not served")),
        ("MOVED", nil), ("MOVED 1", nil), ("MOVED 16384 h:1", nil), ("MOVED -1 h:1", nil), ("MOVED x h:1", nil),
        ("MOVED 99999999999999999999 h:1", nil), ("MOVED 1 h:0", nil), ("MOVED 1 h:65536", nil), ("MOVED 1 h", nil),
        ("MOVED 1 h:", nil), ("MOVED 1 h:1 more", nil), ("MOVED 1 a b:1", nil), ("ASK 1 h\u{7}:1", nil),
        ("MOVEDX 1 h:1", nil), ("moved 1 h:1", nil), ("", nil), (" ", nil), ("ERR MOVED 1 h:1", nil),
    ]

    @Test(arguments: redirections) func redirectionsAreRead(_ text: String, _ expected: Redirection?) {
        #expect(Redirection(text) == expected)
    }

    /// Whatever a node sends, nothing of it is a trap.
    @Test @Loop func noTextIsATrap() {
        let random = RandomSource(seed: 11)
        let pieces = [
            "MOVED", "ASK", " ", ":", "1", "16384", "-", "h", "é", "@", ",", "?", "99999999999999999999", "\0",
        ]
        for _ in 0..<50_000 {
            let text = (0..<(random.next() % 9)).map { _ in pieces[Int(random.next() % 14)] }.joined()
            if case .moved(let slot, let place)? = Redirection(text) {
                #expect((0..<KeySlot.count).contains(slot.number) && (1...65_535).contains(place.port))
            }
        }
    }

    private let teller = SocketAddress(host: "10.0.0.1", port: 7000)

    private func range(_ first: Int64, _ last: Int64, _ host: RedisReply, _ port: Int64) -> RedisReply {
        .array([.integer(first), .integer(last), .array([host, .integer(port), .text("id")])])
    }

    @Test func aMapIsReadFromItsRanges() throws {
        let reply = RedisReply.array([
            range(0, 5460, .text(""), 7000), range(5461, 16_382, .text("10.0.0.2"), 7001),
            range(16_383, 16_383, .null, 7002),
        ])
        let map = try #require(SlotMap(reply, saidBy: teller))
        #expect(map.isComplete)
        #expect(map[KeySlot(number: 0)] == teller)
        #expect(map[KeySlot(number: 5461)] == SocketAddress(host: "10.0.0.2", port: 7001))
        #expect(map[KeySlot(number: 16_383)] == SocketAddress(host: "10.0.0.1", port: 7002))
        var moved = map
        moved.move(KeySlot(number: 1), to: SocketAddress(host: "new", port: 1))
        #expect(moved[KeySlot(number: 1)]?.host == "new" && moved[KeySlot(number: 0)] == teller)
    }

    @Test func aMapWithHolesIsNotComplete() throws {
        let map = try #require(SlotMap(.array([range(1, 16_383, .text("h"), 1)]), saidBy: teller))
        #expect(!map.isComplete && map[KeySlot(number: 0)] == nil)
    }

    @Test func whatIsNoMapIsNone() {
        let wrong: [RedisReply] = [
            .null, .integer(1), .error("ERR This instance has cluster support disabled"), .array([.null]),
            .array([.array([])]), .array([range(-1, 5, .text("h"), 1)]), .array([range(0, 16_384, .text("h"), 1)]),
            .array([range(5, 4, .text("h"), 1)]), .array([range(0, 1, .text("h"), 0)]),
            .array([range(0, 1, .text("h"), 65_536)]), .array([range(0, 1, .text("a b"), 1)]),
            .array([range(.min, .max, .text("h"), 1)]),
            // Two for one slot, more nodes than there can be, more ranges than slots.
            .array([range(0, 16_383, .text("h"), 1), range(5, 5, .text("h"), 2)]),
            .array((0..<1001).map { range(Int64($0), Int64($0), .text("h"), Int64($0) + 1) }),
            .array((0..<40_001).map { range(0, 0, .text("h"), Int64($0) + 1) }),
        ]
        for reply in wrong { #expect(SlotMap(reply, saidBy: teller) == nil, "\(reply)") }
    }

    // MARK: batches

    /// A cluster in memory whose slots move between any two replies, against one server that has all keys.
    @Test(arguments: [UInt64](1...200)) @Loop func aBatchIsExecutedOnceAndInOrder(seed: UInt64) throws {
        let random = RandomSource(seed: seed)
        let places = (0..<4).map { SocketAddress(host: "n\($0)", port: 7000 + $0) }
        var truth = SlotMap()
        for number in 0..<KeySlot.count { truth.move(KeySlot(number: number), to: places[number % 4]) }
        var known = truth
        var log: [String: [Int]] = [:]
        let steps = (0..<100).map { RedisStep.command(RedisCommand("RPUSH", "k\(random.next() % 9)", $0)) }
        var batch = try ClusterBatch(steps)
        var rounds = 0
        while batch.open > 0, rounds < 60 {
            rounds += 1
            let (parts, homeless) = batch.parts(known, anyPlace: places[0])
            #expect(homeless.isEmpty)
            for part in parts {
                if random.next() % 8 == 0 {
                    batch.retry(part.indices)
                    continue
                }
                // All of a part is served before anything moves.
                let replies = part.indices.map { index -> RedisReply in
                    guard case .command(let command) = steps[index], let key = command.keys?.first else { return .null }
                    let slot = KeySlot(of: key.utf8)
                    let text = String(decoding: key.utf8, as: UTF8.self)
                    guard let owner = truth[slot] else { return .error("CLUSTERDOWN") }
                    if owner != part.place { return .error("MOVED \(slot.number) \(owner)") }
                    log[text, default: []].append(index)
                    return .integer(Int64(log[text]?.count ?? 0))
                }
                for (slot, place) in batch.take(replies, of: part).moved { known.move(slot, to: place) }
                if rounds < 4 {
                    let slot = KeySlot(of: "k\(random.next() % 9)")
                    truth.move(slot, to: places[Int(random.next() % 4)])
                }
            }
        }
        #expect(batch.open == 0)
        for (key, indices) in log { #expect(indices == indices.sorted(), "\(key) \(indices)") }
        #expect(log.values.reduce(0) { $0 + $1.count } == 100)
        #expect(batch.replies.allSatisfy { $0.errorText == nil })
    }

    /// The script has been executed: once is enough.
    @Test(arguments: [
        "TRYAGAIN x", "CLUSTERDOWN x", "LOADING x", "READONLY x", "MASTERDOWN x", "MOVED 1 h:1", "ASK 1 h:1",
    ]) func theErrorOfAScriptIsNoRedirection(_ text: String) throws {
        let script = RedisScript(name: "s", source: "return redis.error_reply(ARGV[1])")
        var batch = try ClusterBatch([.script(script, keys: ["k"], args: [])])
        var known = SlotMap()
        known.move(KeySlot(of: "k"), to: SocketAddress(host: "a", port: 1))
        let part = try #require(batch.parts(known, anyPlace: nil).parts.first)
        let turn = batch.take([.error(text)], of: part)
        #expect(batch.open == 0 && !turn.pauses && turn.moved.isEmpty)
        #expect(batch.replies == [.error(text)])
    }

    @Test func redirectionsEnd() throws {
        var batch = try ClusterBatch([.command(RedisCommand("GET", "k"))])
        let (one, two) = (SocketAddress(host: "a", port: 1), SocketAddress(host: "b", port: 2))
        var known = SlotMap()
        known.move(KeySlot(of: "k"), to: one)
        var sent = 0
        while batch.open > 0, sent < 50 {
            let part = try #require(batch.parts(known, anyPlace: nil).parts.first)
            sent += 1
            let other = part.place == one ? two : one
            _ = batch.take([.error("MOVED \(KeySlot(of: "k").number) \(other)")], of: part)
        }
        #expect(sent == ClusterBatch.maxRedirections + 1)
        #expect(batch.replies[0].errorText?.hasPrefix("MOVED") == true)
    }

    @Test func whatHasNoKeyGoesWithTheOthers() throws {
        let batch = try ClusterBatch([.command(RedisCommand("TIME")), .command(RedisCommand("GET", "k"))])
        let (one, two) = (SocketAddress(host: "a", port: 1), SocketAddress(host: "b", port: 2))
        var known = SlotMap()
        known.move(KeySlot(of: "k"), to: two)
        let parts = batch.parts(known, anyPlace: one).parts
        #expect(parts.count == 1 && parts[0].place == two && parts[0].indices == [0, 1])
        let alone = try ClusterBatch([.command(RedisCommand("PING"))])
        #expect(alone.parts(known, anyPlace: one).parts[0].place == one)
    }
}
