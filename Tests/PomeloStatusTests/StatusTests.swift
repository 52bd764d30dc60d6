// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloPublication
import PomeloStatus
import PomeloTesting
import TestHelpers
import Testing

/// Who is online, and pushes to users wherever they are.
@Suite struct StatusTests {
    /// With pomelo's plugin a user that was unbound stayed online.
    @Test @Loop func aUserIsOnlineWhileAnySessionIs() async throws {
        let world = try await World()
        #expect(try await world.chat.getStatusByUid("ann") == false)
        let first = try await world.client("connector-1", "ann")
        let second = try await world.client("connector-1", "ann")
        let third = try await world.client("connector-2", "ann")
        await world.cluster.settle()
        #expect(try await world.chat.getSidsByUid("ann") == ["connector-1", "connector-2"])
        first.disconnect()
        await world.cluster.settle()
        #expect(try await world.chat.getSidsByUid("ann") == ["connector-1", "connector-2"])
        try world.cluster["connector-1"].sessionService.unbind(try #require(second.session).id, "ann")
        await world.cluster.settle()
        #expect(try await world.chat.getSidsByUid("ann") == ["connector-2"])
        third.disconnect()
        await world.cluster.settle()
        #expect(try await world.chat.getStatusByUids(["ann", "ann", "bob"]) == ["ann": false, "bob": false])
        #expect(try await world.chat.getStatusByUids([]) == [:])
    }

    /// pomelo's plugin called back once per error, and never ended the push.
    @Test @Loop func questionsFailWhileRedisIsAway() async throws {
        let world = try await World()
        world.faults.isDown = true
        #expect(await failureCode { _ = try await world.chat.getSidsByUid("ann") } == "redisUnavailable")
        #expect(await failureCode { _ = try await world.chat.getStatusByUids(["ann"]) } == "redisUnavailable")
        #expect(await failureCode { _ = try await world.push("hello", "ann") } == "redisUnavailable")
        let socket = try await world.client("connector-1", "ann")
        await world.cluster.settle()
        #expect(world["connector-1"].backlog == 1)
        world.faults.isDown = false
        await world.cluster.advance(by: .seconds(1))
        #expect(try await world.chat.getStatusByUid("ann") && world["connector-1"].backlog == 0)
        _ = socket
    }

    // MARK: pushes

    /// pomelo's plugin threw without users, and named none that was offline.
    @Test @Loop func aPushFindsUsersWhereverTheyAre() async throws {
        let world = try await World()
        let ann = try await world.client("connector-1", "ann")
        let ann2 = try await world.client("connector-2", "ann")
        let bob = try await world.client("connector-2", "bob")
        await world.cluster.settle()
        let report = try await world.push("hello", "ann", "bob", "ann", "nobody")
        #expect(report.queued == 3 && report.noSession == ["nobody"] && report.failed.isEmpty)
        #expect([ann, ann2, bob].map(\.texts) == [["hello"], ["hello"], ["hello"]])
        #expect(try await world.push("hello") == PushReport())
    }

    @Test @Loop func answersAreUsedAgainForFiveSeconds() async throws {
        let world = try await World()
        let ann = try await world.client("connector-1", "ann")
        await world.cluster.settle()
        _ = try await world.push("one", "ann")
        world.entries.removeAll()
        await world.cluster.advance(by: .milliseconds(300))
        #expect(try await world.push("two", "ann").queued == 1)
        #expect(ann.texts == ["one", "two"])
        await world.cluster.stop("connector-1")
        #expect(try await world.push("three", "ann").queued == 0)
    }

    @Test @Loop func theAnswerThatSomebodyIsOfflineIsNotUsedAgain() async throws {
        let world = try await World()
        #expect(try await world.push("one", "ann").noSession == ["ann"])
        let ann = try await world.client("connector-1", "ann")
        await world.cluster.settle()
        #expect(try await world.push("two", "ann").queued == 1 && ann.texts == ["two"])
    }

    @Test @Loop func aUserWhoMovedIsLookedUpOnceMore() async throws {
        let world = try await World()
        let before = try await world.client("connector-1", "ann")
        await world.cluster.settle()
        _ = try await world.push("one", "ann")
        before.disconnect()
        let after = try await world.client("connector-2", "ann")
        await world.cluster.settle()
        let report = try await world.push("two", "ann")
        #expect(report.queued == 1 && report.isComplete)
        #expect(before.texts == ["one"] && after.texts == ["two"])
    }

    /// A session is never told twice, although one of its user's servers answers that it has none.
    @Test @Loop func aServerThatWasReachedIsNotTriedAgain() async throws {
        let world = try await World()
        let ann = try await world.client("connector-2", "ann")
        await world.cluster.settle()
        let behind = MemoryStatusStore(world.entries)
        try await behind.start(world.cluster["connector-1"].context.owner)
        _ = try behind.publish(online: ["ann", "bob"], offline: [], sequence: 1000)
        #expect(try await world.chat.getSidsByUid("ann") == ["connector-1", "connector-2"])
        let report = try await world.push("hello", "ann", "bob")
        #expect(report.queued == 1 && report.noSession == ["bob"] && report.failed.isEmpty)
        #expect(ann.texts == ["hello"])
    }

    @Test @Loop func failuresAreNotMixedWithAbsence() async throws {
        let world = try await World()
        _ = try await world.client("connector-1", "ann")
        let bob = try await world.client("connector-2", "bob")
        await world.cluster.settle()
        world.cluster.crash("connector-1")
        let told = world.beginPush("hello", "ann", "bob", "cid")
        await world.cluster.advance(by: .milliseconds(100))
        #expect(bob.texts == ["hello"] && told.entries == [])
        await world.cluster.advance(by: .seconds(3))
        #expect(told.entries == ["1 queued, offline [cid], unknown [ann], failed [connector-1]"])
        try await world.cluster.endLease(of: "connector-1")
        #expect(try await world.push("hello", "ann").noSession == ["ann"])
    }

    /// A gate, for instance: it is a frontend, and has no users.
    @Test @Loop func aFrontendWithoutTheServiceIsNotAsked() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 2))
        let entries = MemoryStatusStore.Entries()
        try await cluster.startAll { app in
            if app.serverID != "connector-2" { try app.use(Status(store: MemoryStatusStore(entries))) }
        }
        let calls = cluster.network.calls
        let isOnline = try await cluster["chat-1"].status.getStatusByUid("ann")
        #expect(!isOnline && cluster.network.calls - calls == 1, "the registry says who may have the user")
        await cluster.stopAll()
    }

    // MARK: doubt

    /// Of a server that is gone without having been cleaned up nobody can say who was there, until it is.
    @Test @Loop func whoseServerDoesNotAnswerIsNotSaidToBeOffline() async throws {
        let world = try await World()
        _ = try await world.client("connector-1", "ann")
        await world.cluster.settle()
        world.cluster.crash("connector-1")
        let told = world.beginPush("hello", "ann")
        await world.cluster.advance(by: .seconds(3))
        #expect(told.entries == ["presenceUnknown"])
    }

    @Test @Loop func whoComesBackElsewhereMeanwhileIsFound() async throws {
        let world = try await World()
        _ = try await world.client("connector-1", "ann")
        await world.cluster.settle()
        _ = try await world.push("before", "ann")
        world.cluster.crash("connector-1")
        let told = world.beginPush("hello", "ann")
        await world.cluster.advance(by: .milliseconds(700))
        let back = try await world.client("connector-2", "ann")
        await world.cluster.advance(by: .milliseconds(500))
        #expect(back.texts == ["hello"])
        #expect(told.entries == ["1 queued, offline [], unknown [], failed [connector-1]"])
        #expect(try await world.push("after", "ann").queued == 1 && back.texts == ["hello", "after"])
    }

    /// The store is empty, and the frontends have not published again: they are asked.
    @Test(arguments: ["told", "the registry is empty too", "the view is not complete", "nobody told who starts"])
    @Loop func whoIsOnlineIsFoundInAnEmptiedStore(_ how: String) async throws {
        let world = try await World(isYoung: how == "nobody told who starts")
        let ann = try await world.client("connector-1", "ann")
        await world.cluster.settle()
        world.faults.isReadOnly = true
        world.entries.removeAll()
        switch how {
        case "told": world.cluster.redisReturned()
        case "the registry is empty too": world.cluster.hasForgottenAll = true
        case "the view is not complete": world.cluster.isViewComplete = false
        default: break
        }
        await world.cluster.settle()
        #expect(try await world.push("hello", "ann").queued == 1 && ann.texts == ["hello"])
        #expect(try await world.chat.getStatusByUids(["ann"]) == ["ann": true])
        #expect(try await world.chat.getSidsByUid("ann") == ["connector-1"])
    }

    @Test @Loop func inDoubtASilentFrontendLeavesItOpen() async throws {
        let world = try await World()
        world.cluster.redisReturned()
        await world.cluster.settle()
        #expect(try await world.push("hello", "ann").noSession == ["ann"])
        world.cluster.network.freeze("connector-1")
        let told = world.beginPush("hello", "ann")
        let asked = Journal<String>()
        Loop.spawn { asked.note(await failureCode { _ = try await world.chat.getStatusByUid("ann") }) }
        await world.cluster.advance(by: .seconds(4))
        #expect(told.entries == ["presenceUnknown"] && asked.entries == ["presenceUnknown"])
        // Later the store is believed again.
        await world.cluster.advance(by: .seconds(8), step: .milliseconds(200))
        #expect(try await world.push("hello", "ann").noSession == ["ann"])
    }

    @Test @Loop func thousandsOfUsersArePushedToAndTheCacheStaysBounded() async throws {
        let world = try await World()
        let ann = try await world.client("connector-1", "ann")
        await world.cluster.settle()
        let many = (0..<12_000).map { UserID("user-\($0)") }
        let report = try await world.chat.pushByUids(many + ["ann"], World.say, "hello")
        #expect(report.queued == 1 && report.noSession.count == 12_000 && ann.texts == ["hello"])
    }

    // MARK: life

    @Test @Loop func aStoppedServersUsersAreOffline() async throws {
        let world = try await World()
        _ = try await world.client("connector-1", "ann")
        _ = try await world.client("connector-2", "bob")
        await world.cluster.settle()
        await world.cluster.stop("connector-1")
        #expect(try await world.chat.getStatusByUids(["ann", "bob"]) == ["ann": false, "bob": true])
    }

    /// With pomelo's plugin they stayed online for ever.
    @Test @Loop func aCrashedServersUsersAreOfflineWhenItsLeaseEnds() async throws {
        let world = try await World()
        _ = try await world.client("connector-1", "ann")
        await world.cluster.settle()
        world.cluster.crash("connector-1")
        #expect(try await world.chat.getStatusByUid("ann"))
        try await world.cluster.endLease(of: "connector-1")
        #expect(try await world.chat.getStatusByUid("ann") == false)
    }

    @Test(arguments: ["told", "noticed by a publication", "noticed by the sweep"])
    @Loop func anEmptiedRedisIsFilledAgain(_ how: String) async throws {
        let world = try await World(policy: .refuse)
        for uid: UserID in ["ann", "bob"] { _ = try await world.client("connector-1", uid) }
        await world.cluster.settle()
        world.entries.removeAll()
        switch how {
        case "told": world.cluster.redisReturned()
        case "noticed by a publication": _ = try await world.client("connector-1", "cid")
        default: break
        }
        await world.cluster.advance(by: .milliseconds(3500))
        #expect(try await world.chat.getStatusByUids(["ann", "bob"]) == ["ann": true, "bob": true])
        #expect(world.entries.holder(of: "ann")?.server == "connector-1")
        let other = try await world.client("connector-2")
        #expect(await failureCode { try await world.bind(other, "bob", "connector-2") } == "binding")
    }

    @Test @Loop func whatCouldNotBeTakenBackIsTriedUntilItCan() async throws {
        let world = try await World(policy: .refuse)
        for number in 0..<20 { _ = try await world.client("connector-1", UserID("user-\(number)")) }
        await world.cluster.settle()
        world.entries.removeAll()
        world.cluster.redisReturned()
        await world.cluster.settle()
        world.faults.isDown = true
        await world.cluster.advance(by: .seconds(3))
        world.faults.isDown = false
        world.faults.lostAnswersPerMille = 300
        await world.cluster.advance(by: .seconds(2))
        world.faults.lostAnswersPerMille = 0
        await world.cluster.advance(by: .seconds(2))
        for number in 0..<20 {
            #expect(world.entries.holder(of: UserID("user-\(number)"))?.server == "connector-1")
        }
    }

    @Test @Loop func olderDataIsBroughtUpToDate() async throws {
        let world = try await World(policy: .refuse)
        let ann = try await world.client("connector-1", "ann")
        await world.cluster.settle()
        let old = world.entries.copy()
        ann.disconnect()
        _ = try await world.client("connector-1", "bob")
        await world.cluster.settle()
        world.entries.restore(old)
        world.cluster.redisReturned()
        await world.cluster.advance(by: .milliseconds(500))
        #expect(try await world.chat.getStatusByUids(["ann", "bob"]) == ["ann": false, "bob": true])
        #expect(world.entries.holder(of: "ann") == nil && world.entries.holder(of: "bob") != nil)
    }

    @Test @Loop func nothingLostNothingWritten() async throws {
        let world = try await World()
        _ = try await world.client("connector-1", "ann")
        await world.cluster.settle()
        let writes = world.faults.writes
        world.cluster.redisReturned()
        await world.cluster.settle()
        #expect(world.faults.writes == writes)
    }
}
