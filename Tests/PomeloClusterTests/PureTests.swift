// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloRedis
import Testing

@testable import PomeloCluster

@Suite("entries, changes, options") struct PureTests {
    // MARK: entries

    struct EntryCase: CustomTestStringConvertible, Sendable {
        let name: String
        let info: ServerInfo
        let text: String
        var testDescription: String { name }
    }

    static let entries = [
        EntryCase(
            name: "the least",
            info: ServerInfo(
                record: ServerRecord(id: "a", type: "chat", port: 1), instance: "i", state: .joining, services: []),
            text:
                #"{"inst":"i","state":"joining","record":{"id":"a","serverType":"chat","host":"127.0.0.1","port":1}}"#
        ),
        EntryCase(
            name: "the most",
            info: ServerInfo(
                record: ServerRecord(
                    id: "c-1", type: "connector", host: "h", port: 2, clientHost: "ch", clientPort: 3,
                    isFrontend: true, bind: "0.0.0.0", maxConnections: 4,
                    metadata: ["args": "-x", "deep": ["k": [1, 2.5, nil]]]),
                instance: "j", state: .draining, services: ["a", "b"]),
            text:
                #"{"inst":"j","state":"draining","services":["a","b"],"#
                + #""record":{"id":"c-1","serverType":"connector","host":"h","port":2,"#
                + #""clientHost":"ch","clientPort":3,"frontend":true,"bind":"0.0.0.0","max-connections":4,"#
                + #""metadata":{"args":"-x","deep":{"k":[1,2.5,null]}}}}"#),
        EntryCase(
            name: "two connectors",
            info: ServerInfo(
                record: {
                    var record = ServerRecord(id: "c-1", type: "connector", host: "h", port: 2, isFrontend: true)
                    record.clients = [.init(type: "hybrid", port: 3), .init(type: "socketio", host: "io", port: 4)]
                    return record
                }(),
                instance: "j", state: .up, services: []),
            text:
                #"{"inst":"j","state":"up","record":{"id":"c-1","serverType":"connector","host":"h","port":2,"#
                + #""clientPort":3,"clients":[{"type":"hybrid","port":3},{"type":"socketio","host":"io","port":4}],"#
                + #""frontend":true}}"#),
    ]

    @Test(arguments: entries) func entryIsText(_ entry: EntryCase) {
        #expect(RegistryEntry.encode(entry.info) == entry.text)
        #expect(RegistryEntry.decode(entry.text, of: entry.info.id) == entry.info)
        #expect(RegistryEntry.instance(entry.text) == entry.info.instance)
    }

    @Test(arguments: [
        "", "{", "[]", "null", "7", #"{"inst":"i","state":"up"}"#,
        #"{"inst":"","state":"up","record":{"id":"a","serverType":"t","host":"h","port":1}}"#,
        #"{"state":"up","record":{"id":"a","serverType":"t","host":"h","port":1}}"#,
        #"{"inst":"i","state":"up","record":{"id":"b","serverType":"t","host":"h","port":1}}"#,
        #"{"inst":"i","state":"up","record":{"id":"a","serverType":"t","host":"h","port":"x"}}"#,
    ]) func unreadableEntry(_ text: String) {
        #expect(RegistryEntry.decode(text, of: "a") == nil)
    }

    struct BadCase: CustomTestStringConvertible, Sendable {
        let testDescription: String
        var id = "a"
        var instance = "i"
        var record = ""
        var rest = ""
        let reason: String
    }

    /// What is wrong is named, and no number traps whoever reads it.
    @Test(arguments: [
        BadCase(testDescription: "a colon in the id", id: "a:b", reason: "its id is no server id"),
        BadCase(testDescription: "a brace in the id", id: "{a}", reason: "its id is no server id"),
        BadCase(testDescription: "a line end in the id", id: "a\n", reason: "its id is no server id"),
        BadCase(testDescription: "a long id", id: String(repeating: "a", count: 129), reason: "its id is no server id"),
        BadCase(
            testDescription: "a long instance", instance: String(repeating: "i", count: 65), reason: "inst is wrong"),
        BadCase(testDescription: "an instance with a space", instance: "i j", reason: "inst is wrong"),
        BadCase(testDescription: "a port of 11 digits", record: #","port":99999999999"#, reason: "port is wrong"),
        BadCase(
            testDescription: "a port beyond Int64", record: #","port":18446744073709551615"#, reason: "port is wrong"),
        BadCase(testDescription: "a broken port", record: #","port":1.5"#, reason: "port is wrong"),
        BadCase(testDescription: "a huge port", record: #","port":1e300"#, reason: "port is wrong"),
        BadCase(testDescription: "a client port", record: #","clientPort":70000"#, reason: "clientPort is wrong"),
        BadCase(testDescription: "no list of ports", record: #","clients":{}"#, reason: "clients is wrong"),
        BadCase(testDescription: "no ports", record: #","clients":[]"#, reason: "clients is wrong"),
        BadCase(
            testDescription: "a port of no type", record: #","clients":[{"type":":","port":1}]"#,
            reason: "clients is wrong"),
        BadCase(
            testDescription: "a type of no port", record: #","clients":[{"type":"a"}]"#, reason: "clients is wrong"),
        BadCase(testDescription: "a text for a number", record: #","weight":"9""#, reason: "weight is wrong"),
        BadCase(
            testDescription: "no connections", record: #","max-connections":0"#, reason: "max-connections is wrong"),
        BadCase(testDescription: "a host with a space", record: #","host":"a b""#, reason: "host is wrong"),
        BadCase(testDescription: "a number for a host", record: #","bind":7"#, reason: "bind is wrong"),
        BadCase(testDescription: "frontend as text", record: #","frontend":"true""#, reason: "frontend is wrong"),
        BadCase(testDescription: "metadata as list", record: #","metadata":[]"#, reason: "metadata is wrong"),
        BadCase(testDescription: "services of a kind", rest: #","services":[1]"#, reason: "services is wrong"),
        BadCase(
            testDescription: "too many services", rest: #","services":[\#(String(repeating: #""s","#, count: 64))"s"]"#,
            reason: "services is wrong"),
    ]) func badEntry(_ table: BadCase) throws {
        let id = String(decoding: JSON.string(table.id).encoded(), as: UTF8.self)
        let record = #""id":\#(id),"serverType":"t","host":"h","port":1"# + table.record
        let text = #"{"inst":"\#(table.instance)","record":{\#(record)}\#(table.rest)}"#
        let error = #expect(throws: RegistryEntry.Unreadable.self) {
            try RegistryEntry.read(text, of: ServerID(table.id))
        }
        #expect(error?.description == table.reason)
    }

    @Test func anEntryOfAnySizeIsRefused() {
        let text = #"{"inst":"i","pad":"\#(String(repeating: "x", count: RegistryEntry.maxBytes))"}"#
        #expect(RegistryEntry.decode(text, of: "a") == nil)
    }

    @Test func aStateOfALaterVersionIsNotRoutable() {
        let text =
            #"{"inst":"i","state":"dreaming","record":{"id":"a","serverType":"t","host":"h","port":1}}"#
        #expect(RegistryEntry.decode(text, of: "a")?.state == .joining)
    }

    // MARK: changes

    static func entry(_ epoch: Int) -> ClusterFeed.Entry {
        ClusterFeed.Entry(position: "\(epoch)-0", epoch: epoch, change: .removed(ServerID("s\(epoch)"), "i"))
    }

    struct FeedCase: CustomTestStringConvertible, Sendable {
        let name: String
        let epochs: [Int]
        /// Nil means a gap.
        let expected: [Int]?
        var testDescription: String { name }
    }

    /// A feed that stands at epoch 5 reads on.
    @Test(arguments: [
        FeedCase(name: "nothing new", epochs: [5], expected: []),
        FeedCase(name: "in order", epochs: [5, 6, 7, 8], expected: [6, 7, 8]),
        FeedCase(name: "twice", epochs: [5, 6, 6, 7, 6, 7], expected: [6, 7]),
        FeedCase(name: "old ones again", epochs: [5, 3, 4, 6], expected: [6]),
        FeedCase(name: "one missing", epochs: [5, 7], expected: nil),
        FeedCase(name: "out of order", epochs: [5, 7, 6], expected: nil),
        FeedCase(name: "trimmed", epochs: [6, 7], expected: nil),
        FeedCase(name: "stream gone", epochs: [], expected: nil),
        FeedCase(name: "another history", epochs: [1, 2], expected: nil),
    ]) func following(_ table: FeedCase) {
        var feed = ClusterFeed(epoch: 5, position: "5-0")
        let outcome = feed.take(table.epochs.map(Self.entry))
        #expect(
            outcome == table.expected.map { .changes($0.map { .removed(ServerID("s\($0)"), "i") }) } ?? .gap)
        if let last = table.expected?.last { #expect(feed.epoch == last) }
    }

    @Test func anEmptyStreamIsFollowedFromItsFirstEntry() {
        var feed = ClusterFeed(epoch: 0, position: "0-0")
        #expect(feed.take([]) == .changes([]))
        #expect(feed.take([Self.entry(1)]) == .changes([.removed("s1", "i")]))
        #expect(feed.position == "1-0")
    }

    @Test(arguments: [
        RedisReply.array([.text("9-0"), .array([.text("e"), .text("x"), .text("op"), .text("remove")])]),
        .array([.text("9-0")]), .null, .integer(3),
        .array([
            .text("9-0"),
            .array([.text("e"), .text("6"), .text("op"), .text("dance"), .text("id"), .text("a")]),
        ]),
    ]) func anEntryThatCannotBeReadIsAGap(_ reply: RedisReply) {
        var feed = ClusterFeed(epoch: 5, position: "5-0")
        #expect(feed.take([Self.entry(5), ClusterFeed.Entry(reply)]) == .gap)
    }

    @Test func theLastEpochThereIsDoesNotTrap() {
        var feed = ClusterFeed(epoch: .max, position: "5-0")
        #expect(feed.take([Self.entry(5), Self.entry(6)]) == .changes([]))
        feed = ClusterFeed(epoch: .max - 1, position: "5-0")
        #expect(feed.take([Self.entry(5), ClusterFeed.Entry(.null)]) == .gap)
    }

    @Test func anUnreadableEntryThatWasSeenIsNoFurtherGap() {
        var feed = ClusterFeed(epoch: 6, position: "9-0")
        var seen = ClusterFeed.Entry(.null)
        seen.position = "9-0"
        #expect(feed.take([seen, Self.entry(7)]) == .changes([.removed("s7", "i")]))
    }

    // MARK: options

    struct OptionsCase: CustomTestStringConvertible, Sendable {
        let name: String
        let json: JSON
        let mentions: String?
        var testDescription: String { name }
    }

    @Test(arguments: [
        OptionsCase(name: "empty", json: [:], mentions: nil),
        OptionsCase(
            name: "all",
            json: [
                "leaseSeconds": 20, "renewEverySeconds": 5, "scanEverySeconds": 0.25,
                "reloadEverySeconds": 60, "reapTokenSeconds": 3, "pingDeadlineSeconds": 1,
            ], mentions: nil),
        OptionsCase(name: "unknown key", json: ["lease": 20], mentions: "lease"),
        OptionsCase(name: "not a number", json: ["leaseSeconds": "20"], mentions: "leaseSeconds"),
        OptionsCase(name: "zero", json: ["scanEverySeconds": 0], mentions: "scanEverySeconds"),
        OptionsCase(name: "too short", json: ["leaseSeconds": 5], mentions: "renewEverySeconds"),
        OptionsCase(name: "no object", json: [1], mentions: "cluster.json"),
    ]) func options(_ table: OptionsCase) {
        do {
            let options = try ClusterOptions(try OptionReader(table.json, file: "config/cluster.json"))
            #expect(table.mentions == nil)
            if table.name == "all" {
                #expect(options.lease == .seconds(20))
                #expect(options.scanEvery == .milliseconds(250))
            } else {
                #expect(options == ClusterOptions())
            }
        } catch {
            let text = "\(error)"
            #expect(table.mentions.map { text.contains($0) } ?? false, "\(text)")
        }
    }
}
