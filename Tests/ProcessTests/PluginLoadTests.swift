// SPDX-License-Identifier: MIT
#if Keel
    import Foundation
    import PomeloBytes
    import PomeloJSON
    import PomeloLoop
    import PomeloTesting
    import TestHelpers
    import Testing

    extension WholeClusters {
        /// What guests say while plugins judge it, well or badly: all of it is heard once, in its order, and soon.
        ///
        /// `POMELO_PLUGIN_SECONDS` is for how long, 2 s without it.
        @Suite struct PluginLoadTests {
            private static let seconds =
                ProcessInfo.processInfo.environment["POMELO_PLUGIN_SECONDS"].flatMap(Double.init) ?? 2

            /// A thousand a second, judged in the servers themselves.
            @Test @Loop func wordsAreHiddenByThePluginInSwift() async throws {
                let world = try await KeelWorld.start(["connector-server-1"] + KeelWorld.hosts, words: ["darn"])
                let talk = try await Talk.begin(world, guests: 20)
                try await talk.go(each: .milliseconds(20), for: .seconds(Self.seconds))
                #expect(talk.unmoderated == 0)
                Console.figure("1000/s, plugin in Swift: \(talk.figures)")
                try await talk.end()
                try await world.stop()
            }

            /// Two hundred a second, judged in Python.
            @Test @Loop func wordsAreHiddenByThePluginInPython() async throws {
                let world = try await KeelWorld.start(["connector-server-1"] + KeelWorld.hosts)
                let plugin = try await world.launch(
                    "python3", ["Examples/moderation/moderation.py"],
                    [
                        "DAPR_HTTP_PORT": "\(world.ports[KeelWorld.hosts[0]] ?? 0)", "MODERATION_WORDS": "darn",
                        "POMELO_KEEL_BOOTSTRAP": KeelWorld.bootstrap,
                    ])
                await until("it is registered") { plugin.lines.contains("registered pomelo-moderation") }
                let talk = try await Talk.begin(world, guests: 20)
                try await talk.go(each: .milliseconds(100), for: .seconds(Self.seconds))
                Console.figure("200/s, plugin in Python: \(talk.figures)")
                try await talk.end()
                try await world.stop()
            }

            /// A plugin costs a sender its budget of 150 ms, and little more, whatever it does.
            @Test @Loop func aPluginThatBehavesBadlyCostsItsBudgetAndNoMore() async throws {
                let world = try await KeelWorld.start(["connector-server-1"] + KeelWorld.hosts)
                let plugin = try await world.launch("python3", ["-c", PluginPrograms.rude, "0"])
                #expect(try await world.register("acme-rude", plugin).status == 200)
                let talk = try await Talk.begin(world, guests: 4, hidesWords: false)
                for mood in ["good", "silent", "garbled", "endless", "torn", "huge"] {
                    func become(_ mood: String) async throws {
                        let answer = try await world.ask(plugin.base, "POST", "/_mood", body: Bytes(mood.utf8))
                        #expect(answer.status == 200)
                    }
                    try await become("good")
                    // Its circuit is closed again: who comes next meets it.
                    try await eventually("it judges", within: .seconds(30)) { try await talk.isJudged() }
                    try await become(mood)
                    try await talk.go(each: .milliseconds(800), for: .seconds(2 * Self.seconds))
                    Console.figure("a plugin that is \(mood): \(talk.figures)")
                }
                try await talk.end()
                try await world.stop()
            }
        }
    }

    /// Guests, each in a room of its own, who say numbers at a pace and hear them again.
    @Loop private final class Talk {
        private let guests: [TestClient]
        private let hidesWords: Bool
        private var said: [Int]
        private var waits: [Double] = []
        private(set) var unmoderated = 0

        private init(_ guests: [TestClient], _ hidesWords: Bool) {
            self.guests = guests
            self.hidesWords = hidesWords
            said = guests.map { _ in 0 }
        }

        static func begin(_ world: KeelWorld, guests count: Int, hidesWords: Bool = true) async throws -> Talk {
            var guests: [TestClient] = []
            for number in 0..<count {
                let guest = try await world.chat.enter("ann\(number)", "room\(number)", at: "connector-server-1")
                guest.patience = .seconds(10)
                guests.append(guest)
            }
            let talk = Talk(guests, hidesWords)
            // The first call of a plugin makes its connection.
            for index in guests.indices { try await talk.say(index) }
            return talk
        }

        /// Everybody says something; whether a plugin has judged all of it.
        func isJudged() async throws -> Bool {
            unmoderated = 0
            for index in guests.indices { try await say(index) }
            return unmoderated == 0
        }

        func go(each pause: Duration, for time: Duration) async throws {
            (waits, unmoderated) = ([], 0)
            let clock = SystemClock.shared
            let end = clock.deadline(after: time)
            try await KeelWorld.alongside(
                guests.indices.map { index in
                    {
                        // Not all of them at the same moment.
                        var due = clock.deadline(after: pause * index / self.guests.count)
                        while due < end {
                            await clock.sleep(for: clock.left(until: due))
                            due += pause.clampedNanoseconds
                            let asked = clock.now
                            try await self.say(index)
                            self.waits.append(Double(clock.now - asked) / 1e6)
                        }
                    }
                })
        }

        /// Says the next number, and hears it: once, and none before it.
        private func say(_ index: Int) async throws {
            let guest = guests[index]
            said[index] += 1
            let text = "darn \(said[index])"
            let line: JSON = ["content": .string(text), "target": "*"]
            #expect(try await guest.request("chat.chatHandler.send", line) == [:])
            let heard = try await guest.next("onChat")
            if heard["unmoderated"] == true { unmoderated += 1 }
            let expected = hidesWords && heard["unmoderated"] != true ? "*** \(said[index])" : text
            #expect(heard["msg"] == .string(expected), "\(heard)")
        }

        var figures: String {
            let sorted = waits.sorted()
            guard let most = sorted.last else { return "nothing was said" }
            let (half, late) = (sorted[sorted.count / 2], sorted[sorted.count * 99 / 100])
            let times = [half, late, most].map { String(format: "%.1f", $0) }
            return
                "\(waits.count) said, half answered in \(times[0]) ms, 99 % in \(times[1]), the last in \(times[2]), "
                + "\(unmoderated) unmoderated"
        }

        /// Nobody has heard anything more.
        func end() async throws {
            for index in guests.indices {
                try await say(index)
                #expect(guests[index].takeBodies(of: "onChat").isEmpty)
                try await guests[index].leave()
            }
        }
    }
#endif
