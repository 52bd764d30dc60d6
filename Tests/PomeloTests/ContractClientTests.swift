// SPDX-License-Identifier: MIT
import Pomelo
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

private enum GameAPI {
    static let move = Call<Move, Place>("connector.hero.move")
    static let buy = Call<Nothing, Receipt>("connector.hero.buy")
    static let rest = Call<Nothing, Nothing>("connector.hero.rest")
    static let odd = Call<Nothing, Place>("connector.hero.odd")
    static let leave = Call<Nothing, Nothing>("connector.hero.leave")
    static let onMoved = Push<Place>("onMoved")
    static let onNoise = Push<String>("onNoise")

    struct Move: Body { var x: Int }
    struct Place: Body, Equatable { var x: Int }
    /// A reply that has a code itself.
    struct Receipt: Body, Equatable {
        var code: Int
        var message: String
    }
}

@Loop private final class HeroHandler: Handler {
    let app: Application
    var rest: @Loop () async throws -> Void = {}

    init(app: Application) { self.app = app }

    var routes: [ServedRoute] {
        on(GameAPI.move, move)
        on(GameAPI.buy) { _, _ in GameAPI.Receipt(code: 1, message: "sold out") }
        on(GameAPI.rest) { [unowned self] _, _ in
            try await rest()
            return Nothing()
        }
        on(raw: GameAPI.odd.route.text) { _, _ in Array(#"{"y":1}"#.utf8) }
        on(GameAPI.leave) { _, session in
            try await session.kick("enough")
            return Nothing()
        }
    }

    func move(_ query: GameAPI.Move, _ session: Session) async throws -> GameAPI.Place {
        guard query.x >= 0 else { throw Fault(400, "x is negative") }
        try await tell(GameAPI.onNoise, "step \(query.x)")
        try await tell(GameAPI.onMoved, GameAPI.Place(x: query.x))
        return .init(x: query.x)
    }

    private func tell<Message>(_ push: Push<Message>, _ message: Message) async throws {
        _ = try await app.channelService.broadcast(to: "connector", push, message)
    }
}

/// What carries a client's words: everything it says in types is the same.
enum Carrier: String, CaseIterable, Sendable { case memory, tcp, webSocket }

/// One connector, and clients of one kind.
@Loop private final class Hero {
    let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
    let handler: HeroHandler
    let client: any ContractClient
    private let app: Application

    init(_ carrier: Carrier) async throws {
        guard carrier == .memory else {
            let record = ServerRecord(id: "connector-1", type: "connector", port: 0, clientPort: 0, isFrontend: true)
            let network = UVNetwork()
            let app = try Application(Configuration(servers: [record]), id: record.id, world: .system(network: network))
            let connector = HybridConnector(HybridOptions())
            app.connector = connector
            handler = HeroHandler(app: app)
            try app.handle(handler)
            try await app.start()
            let client = try await TestClient.connect(
                to: try #require(connector.localAddress), over: network, as: carrier == .tcp ? .tcp : .webSocket)
            try await client.handshake()
            (self.client, self.app) = (client, app)
            return
        }
        app = try cluster.make("connector-1")
        handler = HeroHandler(app: app)
        try app.handle(handler)
        try await app.start()
        client = try #require(cluster.connect("connector-1"))
    }

    func stop() async { await app.stop() }
}

/// A client that speaks in the types of a contract, without sockets and over real ones.
@Suite struct ContractClientTests {
    @Loop private func failure(_ body: @Loop () async throws -> Void) async -> String {
        await (thrown(by: body) as? TestClient.Failure)?.description ?? "no failure"
    }

    @Test(arguments: Carrier.allCases) @Loop func aReplyIsOfItsType(_ carrier: Carrier) async throws {
        let world = try await Hero(carrier)
        #expect(try await world.client.request(GameAPI.move, .init(x: 1)) == .init(x: 1))
        #expect(try await world.client.request(GameAPI.buy) == .init(code: 1, message: "sold out"))
        await world.stop()
    }

    @Test(arguments: Carrier.allCases) @Loop func aFaultIsTheHandlers(_ carrier: Carrier) async throws {
        let world = try await Hero(carrier)
        await #expect(throws: Fault(400, "x is negative")) {
            try await world.client.request(GameAPI.move, .init(x: -1))
        }
        for fault in [Fault(1001), Fault(500), Fault(body: ["code": 7, "why": "tired"])] {
            world.handler.rest = { throw fault }
            await #expect(throws: fault) { try await world.client.request(GameAPI.rest) }
        }
        world.handler.rest = { throw PomeloError(.overloaded, "for the log alone") }
        await #expect(throws: Fault(500)) { try await world.client.request(GameAPI.rest) }
        await world.stop()
    }

    @Test(arguments: Carrier.allCases) @Loop func whatDoesNotFitNamesItsKey(_ carrier: Carrier) async throws {
        let world = try await Hero(carrier)
        #expect(
            await failure { _ = try await world.client.request(GameAPI.odd) }
                == #"the answer to connector.hero.odd is no Place: x is missing, in {"y":1}"#)
        try await world.client.request(GameAPI.move, .init(x: 1))
        #expect(
            await failure { _ = try await world.client.next(Push<GameAPI.Place>(GameAPI.onNoise.route)) }
                .hasPrefix("a push onNoise is no Place: "))
        await world.stop()
    }

    @Test(arguments: Carrier.allCases) @Loop func pushesAreKeptInOrderUntilTheyAreTaken(_ carrier: Carrier) async throws
    {
        let world = try await Hero(carrier)
        for x in 1...4 { try await world.client.notify(GameAPI.move, .init(x: x)) }
        for x in 1...2 { #expect(try await world.client.next(GameAPI.onMoved) == .init(x: x)) }
        for x in 1...4 { #expect(try await world.client.next(GameAPI.onNoise) == "step \(x)") }
        try await world.client.request(GameAPI.move, .init(x: 5))
        #expect(try world.client.takeAll(GameAPI.onMoved).map(\.x) == [3, 4, 5])
        #expect(try world.client.takeAll(GameAPI.onMoved).isEmpty)
        await world.stop()
    }

    @Test(arguments: Carrier.allCases) @Loop func aMissingPushNamesWhatCameInstead(_ carrier: Carrier) async throws {
        let world = try await Hero(carrier)
        let never = Push<Nothing>("onNever")
        let limit = Duration.milliseconds(50)
        let silence = await failure { _ = try await world.client.next(never, within: limit) }
        #expect(silence.hasPrefix("no push onNever has come") && silence.hasSuffix("; nor has any other"))
        try await world.client.request(GameAPI.move, .init(x: 1))
        #expect(
            await failure { _ = try await world.client.next(never, within: limit) }
                .hasSuffix(#"; there is onNoise "step 1", onMoved {"x":1}"#))
        for x in 2...9 { try await world.client.request(GameAPI.move, .init(x: x)) }
        #expect(
            await failure { _ = try await world.client.next(never, within: limit) }.hasSuffix(", and 13 more"))
        await world.stop()
    }

    @Test(arguments: Carrier.allCases) @Loop func theEndIsToldToWhoeverWaits(_ carrier: Carrier) async throws {
        let world = try await Hero(carrier)
        let client = world.client
        client.patience = .seconds(5)
        #expect(await failure { try await client.request(GameAPI.leave) }.contains("connection ended"))
        #expect(await failure { try await client.request(GameAPI.rest) }.contains("connection ended"))
        #expect(await failure { _ = try await client.next(GameAPI.onMoved) }.contains("connection"))
        #expect(await failure { try await client.notify(GameAPI.rest, Nothing()) }.contains("connection ended"))
        await world.stop()
    }

    @Test @Loop func pushesBeyondTheBoundAreToldOf() async throws {
        let world = try await Hero(.memory)
        let client = try #require(world.client as? TestSocket)
        for x in 0...100_000 { client.push(try PushMessage(GameAPI.onMoved, .init(x: x))) }
        #expect(client.pushes.count == 100_000)
        #expect(try await client.next(GameAPI.onMoved) == .init(x: 0))
        #expect(
            await failure { _ = try await client.next(GameAPI.onNoise) }
                .hasPrefix("no push onNoise was kept: 1 were too many; there is onMoved"))
        await world.stop()
    }

    // MARK: time

    @Test @Loop func timePassesWhileATestWaits() async throws {
        let world = try await Hero(.memory)
        let (clock, begin) = (world.cluster.clock, world.cluster.clock.now)
        #expect(try await world.client.request(GameAPI.move, .init(x: 1)) == .init(x: 1))
        #expect(clock.now == begin)
        world.handler.rest = { await clock.sleep(for: .seconds(5)) }
        try await world.client.request(GameAPI.rest)
        #expect(clock.now == begin + 5_000_000_000)
        world.handler.rest = { await clock.sleep(for: .seconds(25)) }
        #expect(
            await failure { _ = try await world.client.request(GameAPI.rest) }
                == "connector.hero.rest was not answered within 20.0 seconds")
        world.client.patience = .seconds(60)
        world.handler.rest = { await clock.sleep(for: .seconds(40)) }
        await #expect(throws: Fault(500)) { try await world.client.request(GameAPI.rest) }
        await world.stop()
    }

    @Test @Loop func theSystemsTimeMovesAClusterThatFollowsIt() async throws {
        let world = try await Hero(.memory)
        let begin = world.cluster.clock.now
        world.cluster.followSystemTime()
        await until("time has passed by itself") { world.cluster.clock.now > begin + 20_000_000 }
        world.handler.rest = { await world.cluster.clock.sleep(for: .milliseconds(20)) }
        try await world.client.request(GameAPI.rest)
        let never = await failure {
            try await world.cluster.wait(for: "what never is", within: .milliseconds(30)) { nil as Void? }
        }
        #expect(never == "not within 0.03 seconds: what never is")
        await world.cluster.stopAll()
        #expect(world.cluster.running.isEmpty)
    }
}
