// SPDX-License-Identifier: MIT
#if Keel
    import NIOCore
    import PomeloBytes
    import PomeloLoop
    import PomeloPlugins
    import Synchronization
    import TestHelpers
    import Testing

    @testable import PomeloKeel

    /// Where what runs.
    @Suite struct KeelLoopTests {
        /// In a process of its own, for the switch cannot be undone, and the turns are counted.
        ///
        /// As in a server's program, where Swift's own executor is the loop: what is a task of a library, and moves a
        /// part of a body, would take a turn of it.
        @Test func bodiesCostTheLoopNothing() async {
            await #expect(processExitsWith: .success) {
                #expect(await ProcessWideExecutor.install())
                try await KeelLoopTests.moveBodies()
            }
        }

        @Loop static func moveBodies() async throws {
            let bytes = pattern(4 << 20)
            let hanging = try await Peer { _ in }
            let plugin = TestHost { _, _ in
                .work(limit: 4 << 20, within: .seconds(20)) { request in
                    #expect(PomeloLoop.EventLoop.shared.isOnLoop)
                    return PluginResponse(200, body: request.body)
                }
            }
            let stalls = Mutex<[String]>([])
            let watchdog = Watchdog(limitMilliseconds: 200) { stall in stalls.withLock { $0.append(stall.backtrace) } }
            try await plugin.run { plugin in
                let host = TestHost { desk, head in
                    #expect(PomeloLoop.EventLoop.shared.isOnLoop)
                    return desk.forward(head, to: head.path == "/hang" ? hanging.base : plugin.base)
                }
                try await host.run { host in
                    let hung = Task { await thrown { try await host.call("GET", "/hang", within: .milliseconds(500)) } }
                    _ = try await host.call("GET", "/warm")
                    let before = PomeloLoop.EventLoop.shared.turns
                    let answer = try await host.call("POST", "/big", body: bytes)
                    let turns = PomeloLoop.EventLoop.shared.turns - before
                    #expect(answer.body == bytes)
                    // A part for each 64 KiB on four ways would be hundreds.
                    #expect(turns < 20, "\(turns) turns")
                    #expect(await hung.value as? PluginCallError == .timeout)
                }
            }
            watchdog.stop()
            #expect(stalls.withLock { $0.isEmpty })
            try await hanging.stop()
        }

        /// What a library's tasks are given instead of the loop.
        @Test func aTaskWithThePreferenceStaysOnTheThreadOfHTTP() async {
            await #expect(processExitsWith: .success) {
                #expect(await ProcessWideExecutor.install())
                let places = await Task(executorPreference: KeelThread.executor) {
                    var places = [KeelThread.loop.inEventLoop]
                    places.append(await KeelLoopTests.isOnLoop())
                    places.append(KeelThread.loop.inEventLoop)
                    places.append(
                        await withTaskGroup(of: Bool.self) { group in
                            group.addTask { KeelThread.loop.inEventLoop }
                            return await group.next() ?? false
                        })
                    places.append(await SomeActor().isOnThread)
                    return places
                }.value
                #expect(places == [true, true, true, true, true])
            }
        }

        /// A caller that goes away while bytes are being written to it, which is found out by writing.
        @Test @Loop func nothingIsLeftOfACallWhoseCallerGoesAway() async throws {
            let peer = try await Peer { wire in
                wire.send(Forwards.endless)
                wire.pour(Forwards.chunk)
            }
            let left = LeftCalls()
            try await Forwards.forwarding(to: peer.base, responseLimit: .max).run { host in
                for count in 1...8 {
                    let wire = try await Wire.connect(host.port)
                    wire.send(Forwards.get)
                    await until("it flows") { wire.count > 50_000 }
                    let share = host.server.share
                    await until("the call is known") {
                        KeelThread.run { left.note(share) }
                        return left.noted.load(ordering: .relaxed) == count
                    }
                    wire.close()
                }
                await until("all have ended") { host.desk.outcomes.entries.count == 8 }
                try await eventually("nothing is left") {
                    KeelThread.run { left.count() }
                    return left.alive.load(ordering: .relaxed) == 0
                }
            }
            try await peer.stop()
        }

        @Loop static func isOnLoop() async -> Bool { PomeloLoop.EventLoop.shared.isOnLoop }

        @Test @Loop func durationsBecomeTimesThatNIOCanAdd() {
            #expect(KeelThread.time(.milliseconds(1500)).nanoseconds == 1_500_000_000)
            #expect(KeelThread.time(.seconds(-1)).nanoseconds == 0)
            #expect(KeelThread.time(.seconds(Int64.max)).nanoseconds == 86_400_000_000_000)
            #expect(KeelThread.deadline(after: .seconds(Int64.max)) > .now())
        }
    }

    /// Calls that were seen, and whether they are there still.
    private final class LeftCalls: @unchecked Sendable {
        // SAFETY: `calls` is touched on NIO's thread alone.
        private struct Weak { weak var call: UpstreamCall? }
        private var calls: [Weak] = []
        let noted = Atomic<Int>(0)
        let alive = Atomic<Int>(-1)

        func note(_ share: ServerShare) {
            for connection in share.connections.values {
                guard case .forwarding(let forwarding) = connection.exchange?.stage, let call = forwarding.call,
                    !calls.contains(where: { $0.call === call })
                else { continue }
                calls.append(Weak(call: call))
                noted.add(1, ordering: .relaxed)
            }
        }

        func count() { alive.store(calls.filter { $0.call != nil }.count, ordering: .relaxed) }
    }

    private actor SomeActor {
        var isOnThread: Bool { KeelThread.loop.inEventLoop }
    }
#endif
