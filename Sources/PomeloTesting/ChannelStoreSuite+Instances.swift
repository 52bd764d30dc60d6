// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloPublication

/// One server id, several instances: a cleaner or an instance that is late touches nothing of the next one.
extension ChannelStoreSuite {
    /// What a clean-up of one instance finds of the next.
    func lateCleaner() async throws {
        try await publish(try await store(), 1, change("room", ["ann"], count: 1), change("hall", ["ann"], count: 1))
        let gone = instance(of: "connector-1")
        let live = try await store("connector-2")
        let next = try await store()
        try await next.cleanUp("connector-1", instance: instance(of: "connector-1"), proceed: {}, lost: { _, _ in })
        try await publish(next, 1, change("room", ["ann", "bob"], count: 2))
        let lost = Lost()
        do {
            try await live.cleanUp(
                "connector-1", instance: gone, proceed: {},
                lost: { channel, _ in lost.times[channel, default: 0] += 1 })
            throw SuiteFailure("a clean-up went on that was for another instance")
        } catch let error as PomeloError {
            try expect("the error", error.code, .replaced)
        }
        try await expect("members of the next instance", live, "room", ["ann", "bob"])
        try expect("nobody is told as lost", lost.times, [:])
        try expect("channels of the next instance", try await next.channels(), ["room"])
    }

    /// A clean-up that is overtaken in the middle.
    func successor() async throws {
        let old = try await store()
        let names = (0..<120).map { ChannelName("room-\($0)") }
        for (index, name) in names.enumerated() {
            try await publish(old, UInt64(index + 1), change(name, ["ann"], count: 1))
        }
        let gone = instance(of: "connector-1")
        let live = try await store("connector-2")
        let lost = Lost()
        do {
            try await live.cleanUp(
                "connector-1", instance: gone,
                proceed: {
                    lost.proceeds += 1
                    guard lost.proceeds == 2 else { return }
                    // It slept; meanwhile the server is back.
                    let next = try await self.store()
                    try await next.cleanUp(
                        "connector-1", instance: self.instance(of: "connector-1"), proceed: {}, lost: { _, _ in })
                    for (index, name) in names.enumerated() {
                        try await self.publish(next, UInt64(index + 1), self.change(name, ["bob"], count: 1))
                    }
                }, lost: { channel, _ in lost.times[channel, default: 0] += 1 })
            throw SuiteFailure("a clean-up went on although the server is back")
        } catch let error as PomeloError {
            try expect("the error", error.code, .replaced)
        }
        for name in names { try await expect("members of \(name)", live, name, ["bob"]) }
        try expect("channels told as lost", lost.times.count <= 50, true)
    }

    /// What an instance writes that wakes up after its successor has begun.
    func lateInstance() async throws {
        let old = try await store()
        try await publish(old, 7, change("room", ["ann"], count: 1))
        let next = try await store()
        try await next.cleanUp("connector-1", instance: instance(of: "connector-1"), proceed: {}, lost: { _, _ in })
        try await publish(next, 3, change("room", ["bob"], count: 1))
        do {
            try await publish(old, 8, change("room", ["cid"], ["bob"], count: 1), change("hall", ["cid"], count: 1))
            throw SuiteFailure("a former instance published")
        } catch let error as PomeloError {
            try expect("the error", error.code, .replaced)
        }
        try await expect("members of the next instance", next, "room", ["bob"])
        try expect("channels of the next instance", try await next.channels(), ["room"])
        try expect("its sequence", try await next.publishedSequence(), 3)
        try expect("before its second flush", try await publish(next, 4, change("hall", count: 0)).previous, 3)
    }

    func slices() async throws {
        let gone = try await store()
        for number in 0..<170 {
            try await publish(gone, UInt64(number + 1), change(ChannelName("room-\(number)"), ["ann"], count: 1))
        }
        let live = try await store("connector-2")
        let lost = Lost()
        try await live.cleanUp(
            "connector-1", instance: instance(of: "connector-1"),
            proceed: { lost.proceeds += 1 }, lost: { channel, _ in lost.times[channel, default: 0] += 1 })
        try expect("looks at the token for 170 channels", (4...8).contains(lost.proceeds), true)
        try expect("channels told", lost.times.count, 170)
        try expect("channels left", try await gone.channels(), [])
    }

    func manyServers() async throws {
        let store = try await store()
        try await publish(store, 1, change("room", ["ann"], count: 1))
        try await store.destroy("room", at: ["connector-1"] + (0..<12_000).map { ServerID("gone-\($0)") })
        try await expect("destroyed at 12 000 servers", store, "room", [])
    }
}
