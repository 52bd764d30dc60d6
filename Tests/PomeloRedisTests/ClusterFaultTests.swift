// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

@testable import PomeloRedis

/// Clusters that say what none should: whatever it is costs a client little, and loses nothing in silence.
@Suite(.serialized) struct ClusterFaultTests {
    @Loop private func client(
        _ seeds: [SocketAddress], _ configure: (inout RedisConfiguration) -> Void = { _ in }
    ) -> RedisClient {
        var configuration = RedisConfiguration(.cluster(seeds: seeds))
        configure(&configuration)
        return RedisClient(configuration, name: "test", logger: quiet)
    }

    /// A node that has all slots, unless `answer` says otherwise.
    @Loop private func node(
        _ answer: @escaping @Loop ([String], CommandServer.Peer) -> String? = { _, _ in nil }
    ) async throws -> CommandServer {
        let server = try await CommandServer.start("cluster")
        let place = server.place
        server.answer = { words, peer in
            answer(words, peer) ?? (words.first == "CLUSTER" ? CommandServer.slots([place]) : nil)
        }
        return server
    }

    // MARK: channels of shards

    /// The word that a channel has ended comes right behind the one that it is subscribed.
    @Test @Loop func aChannelThatEndsWithItsConfirmationIsSubscribedAgain() async throws {
        var times = 0
        let server = try await node { words, _ in
            guard words[0] == "SSUBSCRIBE" else { return nil }
            times += 1
            let confirmed = CommandServer.confirmed("SSUBSCRIBE", words[1])
            if times == 1 { return confirmed + CommandServer.confirmed("SUNSUBSCRIBE", words[1]) }
            return confirmed + CommandServer.message(words[1], "hello", kind: "smessage")
        }
        let redis = client([server.place])
        try await redis.start()
        let sequence = try await redis.shardedMessages(on: ["c"])
        #expect(await MessageSuite.read(sequence, 2) == [.gap(["c"]), MessageSuite.message("c", "hello")])
        await redis.stop()
        server.close()
    }

    /// The same when it is subscribed after a loss: the gap is told when the channel is there, not before.
    @Test @Loop func aChannelThatEndsWithItsNextConfirmationIsMissedUntilTheOneAfter() async throws {
        var times = 0
        var first: CommandServer.Peer?
        let server = try await node { words, peer in
            guard words[0] == "SSUBSCRIBE" else { return nil }
            times += 1
            if times == 1 { first = peer }
            let confirmed = CommandServer.confirmed("SSUBSCRIBE", words[1])
            return times == 2 ? confirmed + CommandServer.confirmed("SUNSUBSCRIBE", words[1]) : confirmed
        }
        let redis = client([server.place])
        try await redis.start()
        let sequence = try await redis.shardedMessages(on: ["c"])
        first?.close()
        #expect(await MessageSuite.read(sequence, 1) == [.gap(["c"])])
        #expect(times == 3)
        await redis.stop()
        server.close()
    }

    /// Two nodes that each say that the other has the channel.
    @Test @Loop func aChannelThatIsSentToAndFroIsFollowedWithGrowingPauses() async throws {
        var asked = 0
        let (one, two) = (Current<CommandServer?>(nil), Current<CommandServer?>(nil))
        let first = Current<CommandServer.Peer?>(nil)
        func answer(_ words: [String], _ peer: CommandServer.Peer, other: CommandServer?) -> String? {
            guard words[0] == "SSUBSCRIBE", let other else { return nil }
            asked += 1
            if asked == 1 {
                first.value = peer
                return nil
            }
            return "-MOVED \(KeySlot(of: "c").number) \(other.place)\r\n"
        }
        let left = try await node { answer($0, $1, other: two.value) }
        let right = try await node { answer($0, $1, other: one.value) }
        (one.value, two.value) = (left, right)
        let redis = client([left.place])
        try await redis.start()
        let sequence = try await redis.shardedMessages(on: ["c"])
        first.value?.say(CommandServer.confirmed("SUNSUBSCRIBE", "c"))
        let took = await seconds { await until("it is asked for again and again") { asked >= 9 } }
        #expect(took > 0.5, "\(took)")
        sequence.end()
        await redis.stop()
        for server in [left, right] { server.close() }
    }

    // MARK: time

    /// One that is up, whose time stands still.
    @Loop private func port(
        to server: CommandServer, _ configure: (inout RedisConfiguration) -> Void = { _ in }
    ) async -> (RedisClusterPort, ManualClock) {
        var configuration = RedisConfiguration(.cluster(seeds: [server.place]))
        configure(&configuration)
        let clock = ManualClock()
        let port = RedisClusterPort(
            configuration, seeds: [server.place], name: "test", resolver: Resolver(), random: RandomSource(),
            logger: quiet, clock: clock)
        port.startInBackground()
        await until("it is up") {
            clock.advance(by: .milliseconds(1))
            return port.isUp
        }
        return (port, clock)
    }

    /// Who waits to send again when the client is stopped is not served afterwards, by a connection that nobody ends.
    @Test @Loop func aStopEndsThoseWhoWaitToSendAgain() async throws {
        let server = try await node { words, _ in words[0] == "SET" ? "-TRYAGAIN later\r\n" : nil }
        let (port, clock) = await port(to: server)
        var error: RedisError?
        Loop.spawn {
            error = await failure { () throws(RedisError) in _ = try await port.send(RedisCommand("SET", "k", 1)) }
        }
        await until("it was told so twice") { server.count("SET") == 2 }
        // Answered behind it.
        try await port.send(RedisCommand("GET", "k"))
        await port.stop()
        await until("it has ended") {
            clock.advance(by: .milliseconds(10))
            return error != nil
        }
        #expect(error == .closed)
        await until("nobody is connected") { server.openPeers == 0 }
        #expect(server.count("SET") == 2)
        server.close()
    }

    /// However slowly nodes send a command to each other, it is not sent again when its time is over.
    @Test @Loop func redirectionsAreFollowedWithinTheTime() async throws {
        let (time, place) = (Current<ManualClock?>(nil), Current(""))
        let server = try await node { words, _ in
            guard words[0] == "GET" else { return nil }
            time.value?.advance(by: .seconds(1))
            return "-MOVED \(KeySlot(of: words[1]).number) \(place.value)\r\n"
        }
        place.value = "\(server.place)"
        let (port, clock) = await port(to: server)
        time.value = clock
        let replies = try await port.pipeline([RedisCommand("GET", "k")])
        #expect(replies.first?.errorText?.hasPrefix("MOVED") == true, "\(replies)")
        #expect(server.count("GET") == 2)
        await port.stop()
        server.close()
    }

    /// What runs code may answer with a node's words after it has changed something.
    @Test(arguments: ["FCALL", "eval", "EVALSHA", "MODULE.RUN"]) @Loop
    func whatRunsCodeIsNotSentAgainForItsOwnWords(_ name: String) async throws {
        let server = try await node { words, _ in words[0] == name ? "-TRYAGAIN says the code\r\n" : nil }
        let redis = client([server.place])
        try await redis.start()
        let command = RedisCommand(name, arguments: ["f", "1", "k"], keyPositions: name == "MODULE.RUN" ? [2] : nil)
        let replies = try await redis.pipeline([command])
        #expect(replies == [.error("TRYAGAIN says the code")] && server.count(name) == 1)
        await redis.stop()
        server.close()
    }

    /// What has waited for room when its node goes away was not sent: another may take it, for the rest of its time.
    @Test(arguments: [false, true]) @Loop func theTimeInALineIsPartOfTheWhole(_ isScript: Bool) async throws {
        let server = try await node { words, _ in words[0] == "GET" ? "" : nil }
        let (port, clock) = await port(to: server) { $0.maxPendingCommands = 16 }
        let begun = clock.now
        for _ in 0..<16 {
            Loop.spawn { _ = await failure { () throws(RedisError) in try await port.send(RedisCommand("GET", "a")) } }
        }
        await until("there is no room") { server.count("GET") == 16 }
        var ended: UInt64?
        Loop.spawn {
            let error = await failure { () throws(RedisError) in
                if isScript {
                    _ = try await port.run(RedisScript(name: "one", source: "return 1"), keys: ["b"], args: [])
                } else {
                    _ = try await port.send(RedisCommand("SET", "b", 1))
                }
            }
            #expect(error?.maybeExecuted == false, "\(String(describing: error))")
            ended = clock.now
        }
        await Loop.yield()
        clock.advance(by: .seconds(1))
        server.close()
        await until("time has passed") {
            clock.advance(by: .milliseconds(10))
            return ended != nil
        }
        let took = ended.map { Duration.nanoseconds(Int64($0 - begun)) } ?? .zero
        #expect(took > .seconds(1) && took < port.configuration.commandTimeout * 1.2, "\(took)")
        await port.stop()
    }

    // MARK: redirections

    @Test(arguments: ["ASK", "MOVED"]) @Loop func redirectionsToEverNewPlacesKeepFewConnections(_ word: String)
        async throws
    {
        let places = 60
        let other = try await CommandServer.start("cluster", at: "0.0.0.0")
        other.answer = { words, _ in words[0] == "GET" ? "$1\r\nx\r\n" : nil }
        var told = 0
        let server = try await node { words, _ in
            guard words[0] == "GET" else { return nil }
            told += 1
            return "-\(word) \(KeySlot(of: words[1]).number) 127.0.1.\(told):\(other.port)\r\n"
        }
        let redis = client([server.place])
        try await redis.start()
        var most = 0
        for number in 0..<places {
            #expect(try await redis.send(RedisCommand("GET", "{k\(number)}")) == .text("x"))
            most = max(most, other.openPeers)
        }
        // Those that are not in the map, of which there is one more until the oldest is closed.
        #expect(most <= 17, "\(most)")
        await until("those that nobody needs are closed") { other.openPeers == 0 }
        await redis.stop()
        for server in [server, other] { server.close() }
    }

    // MARK: who has which slots

    @Test @Loop func whereNoNodeListensTheStartEndsSoon() async throws {
        var places: [SocketAddress] = []
        for _ in 0..<2 {
            let server = try await CommandServer.start("cluster")
            places.append(server.place)
            server.close()
        }
        let redis = client(places) { $0.connectTimeoutSeconds = 0.5 }
        let took = await seconds {
            let error = await failure { () throws(RedisError) in try await redis.start() }
            for place in places { #expect("\(error.map { "\($0)" } ?? "")".contains("\(place)")) }
            #expect("\(error.map { "\($0)" } ?? "")".contains("refused"))
        }
        #expect(took < 5, "\(took)")
    }

    @Test @Loop func aNodeThatDoesNotTellTheSlotsIsNamed() async throws {
        let server = try await CommandServer.start("cluster")
        server.answer = { words, _ in words[0] == "CLUSTER" ? "" : nil }
        let redis = client([server.place]) {
            $0.commandTimeoutSeconds = 0.2
            $0.startTimeoutSeconds = 1
        }
        let error = await failure { () throws(RedisError) in try await redis.start() }
        let text = error.map { "\($0)" } ?? ""
        #expect(text.contains("\(server.place)") && text.contains("CLUSTER SLOTS"), "\(text)")
        server.close()
    }

    /// Neither refused nor accepted: each would cost the whole connect timeout.
    @Test @Loop func seedsThatAreDeadCostTheOthersLittle() async throws {
        let holes = try (0..<4).map { _ in try BlackHole() }
        let server = try await node()
        let dead = holes.map { SocketAddress(host: "127.0.0.1", port: $0.port) }
        let redis = client(dead + [server.place]) { $0.connectTimeoutSeconds = 30 }
        let took = try await seconds { try await redis.start() }
        #expect(took < 15, "\(took)")
        await redis.stop()
        server.close()
    }

    /// Connected as they are, they do not answer any more.
    @Test @Loop func nodesThatAreSilentCostTheOthersLittle() async throws {
        let isSilent = Current(false)
        var all: [CommandServer] = []
        for _ in 0..<3 { all.append(try await CommandServer.start("cluster")) }
        let places = all.map(\.place)
        for server in all {
            server.answer = { words, _ in
                words[0] != "CLUSTER" ? nil : isSilent.value ? "" : CommandServer.slots(places)
            }
        }
        let last = try await node()
        var configuration = RedisConfiguration(.cluster(seeds: [places[0], last.place]))
        configuration.commandTimeoutSeconds = 30
        let port = RedisClusterPort(
            configuration, seeds: [places[0], last.place], name: "test", resolver: Resolver(), random: RandomSource(),
            logger: quiet)
        try await port.start(within: .seconds(20))
        #expect(port.primaryPlaces.count == 3)
        isSilent.value = true
        port.markStale()
        await until("another has told") { port.primaryPlaces == [last.place] }
        await port.stop()
        for server in all + [last] { server.close() }
    }

    /// Whoever needs any node asks those that are there before those that are in the map and dead.
    @Test @Loop func theDeadOfAMapComeBehindTheSeeds() async throws {
        let holes = try (0..<6).map { _ in try BlackHole() }
        let dead = holes.map { SocketAddress(host: "127.0.0.1", port: $0.port) }
        let server = try await CommandServer.start("cluster")
        server.answer = { words, _ in
            words[0] == "CLUSTER" ? CommandServer.slots(dead + [server.place]) : nil
        }
        let port = RedisClusterPort(
            RedisConfiguration(), seeds: [dead[0], server.place], name: "test", resolver: Resolver(),
            random: RandomSource(), logger: quiet)
        port.startInBackground()
        await until("the map is there") { port.primaryPlaces.count == 7 }
        await until("the one is connected") { port.nodes.contains { $0.isUp } }
        #expect(port.places.first == server.place && port.places[1] == dead[0])
        #expect(Set(port.places) == Set(dead + [server.place]))
        await port.stop()
        server.close()
    }

    /// A node that could not be reached is not the first to be tried again.
    @Test @Loop func whoWasOfNoUseComesLast() async throws {
        let places = (1...3).map { SocketAddress(host: "h", port: $0) }
        let known = Current(places)
        let locator = RotatingLocator("any", .anyClusterNode) { known.value }
        #expect(try await locator.locate() == places[0])
        locator.wasWrong(about: places[0])
        // What the order is of may change meanwhile.
        known.value = [places[2], places[0], places[1]]
        #expect(try await locator.locate() == places[2])
        locator.wasWrong(about: places[2])
        #expect(try await locator.locate() == places[1])
        locator.wasWrong(about: places[1])
        #expect(try await locator.locate() == places[0])
        locator.wasWrong(about: places[0])
        #expect(try await locator.locate() == places[2])
    }

    /// Who has which slots is looked at when it has changed, not for each connection that is made.
    @Test @Loop func aLargeClusterIsLookedAtOnce() async throws {
        let server = try await CommandServer.start("cluster", at: "0.0.0.0")
        let places = (1...200).map { SocketAddress(host: "127.0.2.\($0)", port: server.port) }
        server.answer = { words, _ in words[0] == "CLUSTER" ? CommandServer.slots(places) : nil }
        let port = RedisClusterPort(
            RedisConfiguration(), seeds: [server.place], name: "test", resolver: Resolver(), random: RandomSource(),
            logger: quiet)
        var changes = 0
        port.onNodesChange = { changes += 1 }
        try await port.start(within: .seconds(20))
        #expect(port.nodes.count == 200)
        #expect(changes < 20, "\(changes)")
        await port.stop()
        server.close()
    }
}
