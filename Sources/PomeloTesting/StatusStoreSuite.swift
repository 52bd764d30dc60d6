// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloCore
public import PomeloLoop
import PomeloPublication
public import PomeloStatus

/// What every `StatusStore` must do; run all cases against a store of your own.
@Loop public struct StatusStoreSuite {
    /// One rule each.
    public enum Case: String, CaseIterable, Sendable {
        case onlineAndOffline, severalServers, sequence, users, claims, reclaims, releases, goneToken, staleToken
        case renewedToken, tokensGrow, race, revokes, cleans, cleansUp, cleanUpStops, prefixes, manyUsers
        case holders, lateCleaner, lateInstance, successor, slices
    }

    private let starts = ServerStarts()
    private let make: @Loop (String) -> any StatusStore
    private let took: @Loop (ServerID, InstanceID) async throws -> Void

    /// `make` returns stores of one prefix that share their data; those of other prefixes must not be touched.
    ///
    /// `took` does for the data what a membership does when an instance takes a server's id; nothing if the store
    /// knows by its start.
    public init(
        _ make: @escaping @Loop (_ prefix: String) -> any StatusStore,
        took: @escaping @Loop (ServerID, InstanceID) async throws -> Void = { _, _ in }
    ) {
        self.make = make
        self.took = took
    }

    /// Runs one case on an empty store.
    ///
    /// - Throws: `SuiteFailure` naming the rule; what the store throws.
    public func run(_ name: Case) async throws {
        switch name {
        case .onlineAndOffline: try await onlineAndOffline()
        case .severalServers: try await severalServers()
        case .sequence: try await sequence()
        case .users: try await users()
        case .claims: try await claims()
        case .reclaims: try await reclaims()
        case .releases: try await releases()
        case .goneToken: try await goneToken()
        case .staleToken: try await staleToken()
        case .renewedToken: try await renewedToken()
        case .tokensGrow: try await tokensGrow()
        case .race: try await race()
        case .revokes: try await revokes()
        case .cleans: try await cleans()
        case .cleansUp: try await cleansUp()
        case .cleanUpStops: try await cleanUpStops()
        case .prefixes: try await prefixes()
        case .manyUsers: try await manyUsers()
        case .holders: try await holders()
        case .lateCleaner: try await lateCleaner()
        case .lateInstance: try await lateInstance()
        case .successor: try await successor()
        case .slices: try await slices()
        }
    }

    // MARK: tools

    /// A started store and the holder that stands for its first session.
    func store(
        _ server: ServerID = "connector-1", prefix: String = "game"
    ) async throws -> (store: any StatusStore, holder: Holder) {
        let store = make(prefix)
        let owner = starts.start(server)
        try await store.start(owner)
        try await took(server, owner.instance)
        return (store, Holder(server: server, instance: owner.instance, session: SessionID(1)))
    }

    /// The last one that was started.
    func instance(of server: ServerID) -> InstanceID { starts.instance(of: server) }

    func expect<Value: Equatable>(_ what: String, _ value: Value, _ expected: Value) throws {
        if value != expected { throw SuiteFailure("\(what): \(value), not \(expected)") }
    }

    func online(_ store: any StatusStore, _ uids: [UserID], _ sequence: UInt64 = 1) async throws {
        _ = try await store.publish(online: uids, offline: [], sequence: sequence)
    }

    /// The token of a claim that was refused in favour of `other`.
    private func token(
        _ what: String, _ store: any StatusStore, _ uid: UserID, _ holder: Holder, heldBy other: Holder
    ) async throws -> String {
        guard case .held(let found, let token) = try await store.claim(uid, holder, gone: nil) else {
            throw SuiteFailure("\(what): granted although it is held")
        }
        try expect("\(what): holder", found, other)
        return token
    }

    // MARK: status

    private func onlineAndOffline() async throws {
        let store = try await store().store
        try await online(store, ["ann", "bob"])
        try expect("servers", try await store.servers(of: ["ann", "cid"]), [["connector-1"], []])
        try expect("online", try await store.areOnline(["cid", "bob", "bob"]), [false, true, true])
        _ = try await store.publish(online: ["cid"], offline: ["ann", "dan"], sequence: 2)
        try expect("after going", try await store.areOnline(["ann", "bob", "cid", "dan"]), [false, true, true, false])
    }

    private func severalServers() async throws {
        let one = try await store().store
        let two = try await store("connector-2").store
        try await online(one, ["ann"])
        try await online(two, ["ann"])
        try expect("at two servers", try await one.servers(of: ["ann"]), [["connector-1", "connector-2"]])
        _ = try await one.publish(online: [], offline: ["ann"], sequence: 2)
        try expect("at the other one", try await one.servers(of: ["ann"]), [["connector-2"]])
        try expect("still online", try await one.areOnline(["ann"]), [true])
    }

    private func sequence() async throws {
        let store = try await store().store
        try expect("sequence of an empty store", try await store.publishedSequence(), nil)
        try expect(
            "before the first", try await store.publish(online: ["ann"], offline: [], sequence: 3).previous, nil)
        try expect("after the first", try await store.publishedSequence(), 3)
        let second = try await store.publish(online: [], offline: ["ann"], sequence: 4)
        try expect("before the second", second.previous, 3)
        try expect("of another instance", try await self.store().store.publishedSequence(), nil)
    }

    private func users() async throws {
        let (store, holder) = try await store()
        try await online(store, ["ann"])
        _ = try await store.claim("bob", holder, gone: nil)
        try expect("published and bound users", try await store.publishedUsers(), ["ann", "bob"])
        _ = try await store.publish(online: [], offline: ["ann", "bob"], sequence: 2)
        try await store.release(["ann", "bob"])
        try expect("users after their end", try await store.publishedUsers(), [])
    }

    // MARK: bindings

    private func claims() async throws {
        let (one, ann) = try await store()
        let (two, other) = try await store("connector-2")
        try expect("a free user id", try await one.claim("ann", ann, gone: nil), .granted)
        _ = try await token("a held user id", two, "ann", other, heldBy: ann)
        var second = ann
        second.session = SessionID(2)
        _ = try await token("another session of the server", one, "ann", second, heldBy: ann)
        try expect("another user id", try await two.claim("bob", other, gone: nil), .granted)
    }

    private func reclaims() async throws {
        let (store, holder) = try await store()
        for _ in 0..<2 { try expect("the same session", try await store.claim("ann", holder, gone: nil), .granted) }
        try await store.release(["ann"])
        var second = holder
        second.session = SessionID(2)
        try expect("after the release", try await store.claim("ann", second, gone: nil), .granted)
    }

    private func releases() async throws {
        let (one, holder) = try await store()
        let (two, other) = try await store("connector-2")
        _ = try await one.claim("ann", holder, gone: nil)
        try await two.release(["ann", "never-bound"])
        _ = try await token("released by another server", two, "ann", other, heldBy: holder)
        try await one.release(["ann"])
        try expect("released", try await two.claim("ann", other, gone: nil), .granted)
        try await two.release(["ann"])
        // What a store of yesterday says of a former instance, nobody else would remove.
        _ = try await one.claim("ann", holder, gone: nil)
        let (later, next) = try await store()
        try await later.release(["ann"])
        try expect("released by the instance after it", try await two.claim("ann", other, gone: nil), .granted)
        try await two.release(["ann"])
        _ = try await later.claim("ann", next, gone: nil)
        try await one.release(["ann"])
        _ = try await token("released by the instance before it", two, "ann", other, heldBy: next)
    }

    private func goneToken() async throws {
        let (one, holder) = try await store()
        let (two, other) = try await store("connector-2")
        _ = try await one.claim("ann", holder, gone: nil)
        let token = try await token("held", two, "ann", other, heldBy: holder)
        try expect("with the token of the gone", try await two.claim("ann", other, gone: token), .granted)
        _ = try await self.token("the gone one is late", one, "ann", holder, heldBy: other)
        try await one.release(["ann"])
        _ = try await self.token("a late release", one, "ann", holder, heldBy: other)
    }

    private func staleToken() async throws {
        let (one, holder) = try await store()
        let (two, other) = try await store("connector-2")
        let (three, third) = try await store("connector-3")
        _ = try await one.claim("ann", holder, gone: nil)
        let seen = try await token("held", two, "ann", other, heldBy: holder)
        try await one.release(["ann"])
        _ = try await three.claim("ann", third, gone: nil)
        guard case .held(let found, _) = try await two.claim("ann", other, gone: seen) else {
            throw SuiteFailure("a token of an earlier holding took a later one")
        }
        try expect("the later holder stays", found, third)
    }

    /// Whoever makes sure of its binding cannot lose it to a claim that began before.
    private func renewedToken() async throws {
        let (one, holder) = try await store()
        let (two, other) = try await store("connector-2")
        _ = try await one.claim("ann", holder, gone: nil)
        let seen = try await token("held", two, "ann", other, heldBy: holder)
        try expect("once more", try await one.claim("ann", holder, gone: nil), .granted)
        guard case .held(let found, _) = try await two.claim("ann", other, gone: seen) else {
            throw SuiteFailure("a claim by an older token took a binding that was made sure of")
        }
        try expect("the holder stays", found, holder)
    }

    private func revokes() async throws {
        let one = try await store().store
        let two = try await store("connector-2").store
        for _ in 0..<2 { try await two.revoke("ann", from: "connector-1") }
        let told = try await one.publish(online: ["ann"], offline: [], sequence: 1)
        try expect("revoked", told.revoked, ["ann"])
        let others = try await two.publish(online: [], offline: [], sequence: 1)
        try expect("revoked of another server", others.revoked, [])
        try await one.forget(revoked: ["ann", "bob"])
        try expect("after it", try await one.publish(online: [], offline: ["ann"], sequence: 2).revoked, [])
        try await two.revoke("ann", from: "connector-1")
        try await two.cleanUp("connector-1", instance: instance(of: "connector-1")) {}
        try expect("after the end", try await one.publish(online: [], offline: [], sequence: 3).revoked, [])
    }

    private func tokensGrow() async throws {
        let (one, holder) = try await store()
        let (two, other) = try await store("connector-2")
        var seen: Set<Text> = []
        for _ in 0..<5 {
            _ = try await one.claim("ann", holder, gone: nil)
            seen.insert(Text(try await token("held", two, "ann", other, heldBy: holder)))
            try await one.release(["ann"])
        }
        try expect("each holding has a token of its own", seen.count, 5)
    }

    private func race() async throws {
        let stores = [try await store(), try await store("connector-2"), try await store("connector-3")]
        let (first, gone) = stores[0]
        for round in 0..<20 {
            let uid = UserID("user-\(round)")
            var tokens: [String?] = [nil, nil, nil]
            if round.isMultiple(of: 2) {
                _ = try await first.claim(uid, gone, gone: nil)
                for index in 1..<3 {
                    tokens[index] = try await token(
                        "held", stores[index].store, uid, stores[index].holder, heldBy: gone)
                }
            }
            let granted = Tally()
            await withTaskGroup { group in
                for index in (round.isMultiple(of: 2) ? 1 : 0)..<3 {
                    let (store, holder) = stores[index]
                    let token = tokens[index]
                    group.addTask { @Loop @Sendable in
                        do {
                            if try await store.claim(uid, holder, gone: token) == .granted { granted.count += 1 }
                        } catch { granted.count += 100 }
                    }
                }
            }
            try expect("one of several claims of \(uid)", granted.count, 1)
        }
    }

    // MARK: cleaning

    private func cleans() async throws {
        let (old, holder) = try await store()
        try await online(old, ["ann"])
        _ = try await old.claim("ann", holder, gone: nil)
        let (other, otherHolder) = try await store("connector-2")
        try await online(other, ["ann", "bob"])
        let next = try await store().store
        try await next.clean()
        try expect("after cleaning", try await next.servers(of: ["ann", "bob"]), [["connector-2"], ["connector-2"]])
        try expect("the binding is free", try await other.claim("ann", otherHolder, gone: nil), .granted)
    }

    private func cleansUp() async throws {
        let (gone, holder) = try await store()
        try await online(gone, ["ann", "bob"])
        _ = try await gone.claim("ann", holder, gone: nil)
        _ = try await gone.claim("not-bound-yet", holder, gone: nil)
        let (live, liveHolder) = try await store("connector-2")
        try await online(live, ["bob"])
        _ = try await live.claim("bob", liveHolder, gone: nil)
        for _ in 0..<2 { try await live.cleanUp("connector-1", instance: instance(of: "connector-1")) {} }
        try expect("users of a gone server", try await live.areOnline(["ann", "bob"]), [false, true])
        for uid: UserID in ["ann", "not-bound-yet"] {
            try expect("a gone server's binding", try await live.claim(uid, liveHolder, gone: nil), .granted)
        }
        var second = liveHolder
        second.session = SessionID(2)
        _ = try await token("a live server's binding", live, "bob", second, heldBy: liveHolder)
    }

    private func cleanUpStops() async throws {
        try await online(try await store().store, ["ann"])
        let live = try await store("connector-2").store
        do {
            try await live.cleanUp("connector-1", instance: instance(of: "connector-1")) {
                throw SuiteFailure("the token is lost")
            }
            throw SuiteFailure("a clean-up went on without its token")
        } catch let error as SuiteFailure where error.description == "the token is lost" {}
        try expect("nothing is removed without the token", try await live.areOnline(["ann"]), [true])
    }

    private func prefixes() async throws {
        let (game, holder) = try await store()
        let (other, otherHolder) = try await store("connector-2", prefix: "game2")
        try await online(game, ["ann"])
        _ = try await game.claim("ann", holder, gone: nil)
        try expect("status under another prefix", try await other.areOnline(["ann"]), [false])
        try expect("binding under another prefix", try await other.claim("ann", otherHolder, gone: nil), .granted)
        try await game.cleanUp("connector-2", instance: instance(of: "connector-2")) {}
        var second = otherHolder
        second.session = SessionID(2)
        _ = try await token("cleaned under another prefix", other, "ann", second, heldBy: otherHolder)
    }

    private func manyUsers() async throws {
        let store = try await store().store
        let many = (0..<1500).map { UserID("user-\($0)") }
        try await online(store, many)
        try expect("1500 users", try await store.areOnline(many).allSatisfy { $0 }, true)
        let live = try await self.store("connector-2").store
        try await live.cleanUp("connector-1", instance: instance(of: "connector-1")) {}
        try expect("1500 users cleaned up", try await live.areOnline(many).contains(true), false)
        let asked = (0..<12_000).map { UserID("other-\($0)") } + ["ann"]
        try await online(live, ["ann"])
        try expect("12 000 users asked for", try await live.areOnline(asked).count { $0 }, 1)
        try expect("their servers", try await live.servers(of: asked).last, ["connector-2"])
        try expect("their holders", try await live.holders(of: asked).count, 12_001)
        try await live.release(asked)
    }

    private func holders() async throws {
        let (store, holder) = try await store()
        _ = try await store.claim("ann", holder, gone: nil)
        try expect("holders", try await store.holders(of: ["bob", "ann"]), [nil, holder])
        try await store.release(["ann"])
        try expect("after the release", try await store.holders(of: ["ann"]), [nil])
    }
}

@Loop final class Tally {
    var count = 0
}
