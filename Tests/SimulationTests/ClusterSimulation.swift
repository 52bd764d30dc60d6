// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloStatus
import PomeloTesting

@testable import PomeloGlobalChannel

/// A chat of several servers under faults, decided by one seed: what clients do, how long everything takes, in which
/// order ready tasks run, what breaks and when.
///
/// Clients connect, enter rooms, send, leave and go; servers crash and come back, freeze, and lose sight of each
/// other; the store is slow, loses answers, goes away and comes back empty. Rules are checked after every step, and
/// all of them again when everything has healed.
@Loop final class ClusterSimulation: Simulation {
    static let rooms: [ChannelName] = ["lobby", "attic", "cellar"]
    static let users: [UserID] = ["ann", "bob", "cid", "dan", "eve", "fay"]
    static let say = Push<String>("onSay")

    /// A client, what it asked, and where.
    @Loop final class Client {
        let socket: TestSocket
        let frontend: ServerID
        var requests: [UInt32] = []
        /// What the client knows of who is in its rooms.
        var lists: [ChannelName: List] = [:]
        /// Pushes that were looked at for gaps.
        var seen = 0
        /// Questions for a list, which are no entrance.
        var questions: Set<UInt32> = []
        init(_ socket: TestSocket, _ frontend: ServerID) {
            self.socket = socket
            self.frontend = frontend
        }
    }

    let cluster: TestCluster
    var random: SplitMix64
    /// Rules that were broken.
    var failures: [String] = []
    /// What happened, for the reader of a failure.
    var trail: [String] = []
    var clients: [Client] = []
    var crashed: Set<ServerID> = []
    private var lastCrash: UInt64?
    /// Who may have departed untold, by room, because two servers died between which the word was on its way: the one
    /// exception to what is told.
    private(set) var lostWords: [ChannelName: Set<String>] = [:]
    var paused: Set<ServerID> = []
    /// Servers that are ending in order.
    private var leaving: Set<ServerID> = []
    /// Nothing breaks any more.
    private(set) var isHealing = false
    let storage: any Storage
    /// Whether the plugins for Redis are used, or stores in memory and the test cluster's registry.
    let isOnRedis: Bool
    /// Without these a user id can have one holder only; a holder that does not answer loses it by design.
    let hasNetworkFaults: Bool
    private var messages = 0

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        hasNetworkFaults = random.next() % 4 != 0
        isOnRedis = random.next() % 2 == 0
        cluster = TestCluster(
            TestCluster.records(connectors: 2 + Int(random.next() % 2), chats: 2), seed: random.next(),
            hasRegistry: !isOnRedis)
        let seed = random.next()
        storage = isOnRedis ? RedisStorage(cluster.clock, seed: seed) : MemoryStorage(cluster.clock, seed: seed)
    }

    /// Servers that run, and are not about to end.
    var standing: [ServerID] { cluster.running.filter { !crashed.contains($0) && !leaving.contains($0) } }
    var connectors: [ServerID] { cluster.records.filter(\.isFrontend).map(\.id) }

    func pick<Value>(_ values: [Value]) -> Value? {
        values.isEmpty ? nil : values[Int(random.next() % UInt64(values.count))]
    }

    func chance(_ percent: UInt64) -> Bool { random.next() % 100 < percent }

    func note(_ event: String) {
        trail.append("\(cluster.clock.now / 1_000_000) \(event)")
    }

    func fail(_ rule: String) {
        if !failures.contains(rule) { failures.append(rule) }
        note("BROKEN: \(rule)")
    }

    // MARK: the whole run

    private static let steps = 300

    func run() {
        if hasNetworkFaults {
            cluster.network.delay = .zero ... .milliseconds(Int64(random.next() % 80))
            cluster.network.lossPerMille = Int(random.next() % 30)
        }
        for record in cluster.records { start(record.id) }
        pass(.seconds(1))
        for _ in 0..<Self.steps {
            act()
            pass(.milliseconds(Int64(random.next() % 250)))
            listAgain()
            checkAlways()
        }
        heal()
        checkInTheEnd()
    }

    func pass(_ duration: Duration) { cluster.clock.pass(duration, settle) }

    private func settle() {
        if !EventLoop.shared.runUntilIdle(limit: 1000) { fail("the cluster never comes to rest") }
    }

    private func heal() {
        note("everything heals")
        for id in paused.sorted() { resume(id) }
        isHealing = true
        cluster.network.healAll()
        cluster.network.delay = .zero ... .zero
        storage.heal()
        for id in crashed.sorted() where chance(50) { start(id) }
        cluster.redisReturned()
        // Longer than a lease with its clean-up; who has lost its id meanwhile has stopped, and starts again.
        pass(.seconds(20))
        for id in cluster.running where cluster[id].state == .stopped { restart(id) }
        if cluster.running.isEmpty, let id = connectors.first { start(id) }
        pass(.seconds(1))
        storage.heal()
        // Longer than a client's request, and a few rounds of the sweeps.
        for _ in 1...35 {
            pass(.seconds(1))
            listAgain()
        }
        pass(.seconds(5))
    }

    // MARK: servers

    func start(_ id: ServerID) {
        note("start \(id)")
        crashed.remove(id)
        Loop.spawn {
            do {
                try await self.cluster.start(id) { app in try self.setUp(app) }
            } catch {
                self.note("\(id) did not start: \(error)")
                self.crashed.insert(id)
                self.storage.crash(id)
                self.endLease(of: id)
            }
        }
    }

    private func setUp(_ app: Application) throws {
        try storage.install(into: app)
        app.route("chat", by: "room")
        tellPresence(app)
        if app.serverType == "chat" { try app.handle(RoomHandler(app: app)) }
        if app.isFrontend { try app.handle(EntryHandler(app: app)) }
    }

    private func restart(_ id: ServerID) {
        note("\(id) had stopped")
        Loop.spawn {
            await self.cluster.stop(id)
            self.start(id)
        }
    }

    func crash(_ id: ServerID) {
        note("crash \(id)")
        // Who is left and who is to hear die within a moment: what one call in vain may take.
        let isMomentAgo = lastCrash.map { cluster.clock.now - $0 < 5_000_000_000 } ?? false
        if isMomentAgo, cluster[id].globalChannel.departures.underWay > 0 { noteLostWords() }
        lastCrash = cluster.clock.now
        crashed.insert(id)
        paused.remove(id)
        storage.crash(id)
        cluster.crash(id)
        endLease(of: id)
    }

    /// The word is of somebody who is a member of the room nowhere now.
    private func noteLostWords() {
        note("words may be lost")
        for room in Self.rooms {
            let members = Set(connectors.filter { isUp($0) }.flatMap { owned(room, at: $0) })
            lostWords[room, default: []].formUnion(Self.users.filter { !members.contains($0) }.map(\.rawValue))
        }
    }

    func stop(_ id: ServerID) {
        note("stop \(id)")
        leaving.insert(id)
        Loop.spawn {
            await self.cluster.stop(id)
            self.note("\(id) has ended")
            self.leaving.remove(id)
            self.crashed.insert(id)
            self.storage.crash(id)
            self.endLease(of: id)
        }
    }

    /// Ten seconds later, and as often as it takes, somebody cleans up, unless the server is back.
    private func endLease(of id: ServerID) {
        if isOnRedis { return }
        _ = cluster.clock.schedule(after: .seconds(10)) { [weak self] in
            guard let self, self.crashed.contains(id) else { return }
            Loop.spawn {
                do {
                    try await self.cluster.endLease(of: id)
                    self.note("lease of \(id) ended")
                } catch {
                    self.note("clean-up of \(id) failed: \(error)")
                    self.endLease(of: id)
                }
            }
        }
    }

    /// What an asynchronous question is answered by the time everything rests; nil when it is not, or fails.
    func ask<Value: Sendable>(_ question: @escaping @Loop @Sendable () async throws -> Value) -> Value? {
        let answer = Box<Value?>(nil)
        Loop.spawn {
            do { answer.value = try await question() } catch { self.fail("a question failed: \(error)") }
        }
        settle()
        return answer.value
    }

    // MARK: messages

    @discardableResult
    func request(_ client: Client, _ route: String, _ body: JSON) -> UInt32 {
        note("\(client.socket.remoteAddress) \(route) \(String(decoding: body.encoded(), as: UTF8.self))")
        let id = client.socket.request(route, body.encoded())
        client.requests.append(id)
        return id
    }

    /// How much of what clients asked for came about, in words.
    var summary: String {
        let pushes = clients.map(\.socket.pushes.count).reduce(0, +)
        let answers = clients.flatMap { $0.socket.answers.values.joined() }
        let good = answers.count { !String(decoding: $0, as: UTF8.self).hasPrefix("{\"code\"") }
        return "\(good) of \(answers.count) requests, \(pushes) pushes"
    }

    func nextMessage() -> String {
        messages += 1
        return "m\(messages)"
    }

    /// The members of a room in the memory of a frontend, now.
    func owned(_ room: ChannelName, at frontend: ServerID) -> [UserID] {
        var payload = PayloadWriter()
        payload.text(room.rawValue)
        payload.number(0)
        let result = Box<[UserID]>([])
        let caller = RPCCaller(server: frontend, instance: cluster[frontend].instance, deadline: .max)
        cluster[frontend].procedures.run(.channelMembers, caller, payload.bytes) { answer in
            guard case .success(let bytes) = answer else { return }
            var reader = PayloadReader(bytes)
            do {
                _ = try reader.number()
                result.value = try reader.texts().map { UserID($0) }.sorted()
            } catch { result.value = ["unreadable"] }
        }
        return result.value
    }
}

@Loop final class Box<Value> {
    var value: Value
    init(_ value: Value) { self.value = value }
}

/// What a connector does: binds a client and lets a chat server make it a member.
@Loop private struct EntryHandler: Handler {
    struct Admit: Codable, Sendable {
        let room: ChannelName
        let uid: UserID
        let frontend: ServerID
    }
    static let admit = Remote<Admit, JSON>("chat.room.admit")

    let app: Application

    var routes: [ServedRoute] {
        on(json: "connector.entry.enter") { body, session in
            guard let uid = body["uid"]?.string, let room = body["room"]?.string else { throw Fault(400) }
            try await session.bind(UserID(uid))
            session.set("room", .string(room))
            try await session.push("room")
            let admit = Admit(room: ChannelName(room), uid: UserID(uid), frontend: session.frontend)
            return try await app.rpc.call(Self.admit, admit, for: session)
        }
        on(json: "connector.entry.unbind") { _, session in
            try await session.unbind()
            return [:]
        }
    }
}

/// What a chat server does.
@Loop private struct RoomHandler: Handler {
    let app: Application

    var routes: [ServedRoute] {
        on(EntryHandler.admit) { admit in
            try await enter(admit.room, admit.uid, admit.frontend)
        }
        on(json: "chat.room.join") { body, session in
            guard let uid = session.uid, let room = body["room"]?.string else { throw Fault(403) }
            return try await enter(ChannelName(room), uid, session.frontend)
        }
        on(json: "chat.room.list") { body, _ in
            guard let room = body["room"]?.string else { throw Fault(400) }
            return try await list(ChannelName(room))
        }
        on(json: "chat.room.leave") { body, session in
            guard let uid = session.uid, let room = body["room"]?.string else { throw Fault(403) }
            try await app.globalChannel.leave(ChannelName(room), uid, session.frontend)
            return [:]
        }
        on(json: "chat.room.send") { body, _ in
            guard let room = body["room"]?.string, let text = body["text"]?.string else { throw Fault(400) }
            let report = try await app.globalChannel.pushMessage(
                "connector", ClusterSimulation.say, text, ChannelName(room))
            return ["queued": .int(Int64(report.queued))]
        }
        on(json: "chat.room.tell") { body, _ in
            guard let uid = body["uid"]?.string, let text = body["text"]?.string else { throw Fault(400) }
            let report = try await app.status.pushByUids([UserID(uid)], ClusterSimulation.say, text)
            return ["queued": .int(Int64(report.queued))]
        }
    }

    /// First a member, then told to the others, then the list.
    private func enter(_ room: ChannelName, _ uid: UserID, _ frontend: ServerID) async throws -> JSON {
        try await app.globalChannel.add(room, uid, frontend)
        _ = try await app.globalChannel.pushMessage(
            "connector", ClusterSimulation.onAdd, .init(room: room, uid: uid), room, except: [uid], arrival: uid)
        return try await list(room)
    }

    private func list(_ room: ChannelName) async throws -> JSON {
        let members = await app.globalChannel.getMembersByChannelName("connector", room)
        guard !members.isIncomplete, members.failed.isEmpty else { throw Fault(503) }
        return [
            "users": .array(members.uids.map { .string($0.rawValue) }), "stale": .bool(!members.stale.isEmpty),
        ]
    }
}
