// SPDX-License-Identifier: MIT
import Logging
import PomeloContract
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloSync

/// Callers who wait until fewer values do.
@Suite struct RoomForValuesTests {
    /// Nothing of it ever goes to a sink.
    @Test @Loop func roomIsToldOfWhatCannotBeEncoded() async throws {
        struct Unencodable: Error {}
        var options = SyncOptions()
        (options.maxPending, options.whenFull, options.policy) = (1, .wait, .memoryOnly)
        let world = try await SyncWorld(options)
        let sync = world.sync
        try await sync.exec(SyncKey<Int>("level", encode: { _ throws in throw Unencodable() }), "ann", 1)
        var isDone = false
        Loop.spawn {
            try? await sync.exec(.level, "bob", 2)
            isDone = true
        }
        await world.cluster.settle()
        #expect(!isDone)
        await world.pass(.seconds(62))
        #expect(isDone)
    }

    /// A task without executor preference, as a test's is, lets other jobs run between its look and its wait.
    @Test(arguments: 1...6) @Loop func roomThatIsMadeBetweenTheLookAndTheWaitIsSeen(_ jobsBefore: Int) async {
        var options = SyncOptions()
        (options.maxPending, options.whenFull) = (1, .wait)
        let clock = ManualClock()
        let letters = DeadLetters(limit: 1, Logger(label: "test"))
        let owner = SyncOwner(options, clock, RandomSource(seed: 1), VersionClock(clock, "chat-1"), letters)
        owner.tally.pending = 1
        @Loop func makeRoom(after jobs: Int) {
            Loop.spawn {
                if jobs > 1 { return makeRoom(after: jobs - 1) }
                owner.tally.pending = 0
                owner.tellRoom()
            }
        }
        let done = Journal<String>()
        makeRoom(after: jobsBefore)
        let rescue = Loop.spawn {
            // In real time: on its way back to the loop this task may come by a thread of Swift's.
            await until("it goes on") { !done.entries.isEmpty }
            if done.entries.isEmpty { owner.isClosed = true }
        }
        await owner.room()
        done.note("done")
        await rescue.value
    }
}
