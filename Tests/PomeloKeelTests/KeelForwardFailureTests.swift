// SPDX-License-Identifier: MIT
#if Keel
    import PomeloBytes
    import PomeloKeel
    import PomeloLoop
    import PomeloPlugins
    import TestHelpers
    import Testing

    /// Requests that somebody else does not answer, or not to the end, and callers that go away.
    @Suite struct KeelForwardFailureTests {
        // MARK: what does not come

        @Test @Loop func aPluginThatIsNotThereIsTriedAgainAndNothingIsSentTwice() async throws {
            let port = try await SilentPort()
            try await Forwards.forwarding(to: port.base, attempts: 3).run { host in
                let task = Task { try await host.call("POST", "/x", body: Bytes("once".utf8)) }
                await until("the desk has decided") { !host.desk.heads.isEmpty }
                port.release()
                let peer = try await Peer(port: port.number) { wire in
                    if wire.text.hasSuffix("once") { wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") }
                }
                #expect(try await task.value.text == "ok")
                #expect(await Forwards.outcome(host) == .answered(status: 200))
                #expect(peer.wires.count == 1 && peer.wires[0].text.components("POST") == 1)
                try await peer.stop()
            }
        }

        @Test @Loop func aPluginThatIsNotThereIsUnreachableInTheEnd() async throws {
            let port = try await SilentPort()
            try await Forwards.forwarding(to: port.base, attempts: 2).run { host in
                let answer = try await host.call("GET", "/")
                #expect(answer.status == 502 && answer.headers["x-failed"] == "yes")
                #expect(Forwards.kind(await Forwards.outcome(host)) == "unreachable")
            }
            port.release()
            try await Forwards.forwarding(to: "nonsense", attempts: 9).run { host in
                let answer = try await host.call("GET", "/")
                #expect(answer.status == 502)
                #expect(Forwards.kind(await Forwards.outcome(host)) == "unreachable")
            }
        }

        @Test @Loop func whoForwardsMaySayWhatIsAnsweredToAFailure() async throws {
            let port = try await SilentPort()
            let host = TestHost { desk, head in
                guard case .forward(var forward) = desk.forward(head, to: port.base) else { return .answer(.init(500)) }
                forward.failure = { outcome in PluginResponse(500, body: Bytes(Forwards.kind(outcome).utf8)) }
                return .forward(forward)
            }
            try await host.run { host in
                let answer = try await host.call("GET", "/")
                #expect(answer.status == 500 && answer.text == "unreachable" && answer.headers["x-failed"] == nil)
                #expect(Forwards.kind(await Forwards.outcome(host)) == "unreachable")
            }
            port.release()
        }

        /// The client trapped: one answer ended the process, and the probe of each that came after it.
        @Test(arguments: ["000", "020", "099"]) @Loop func aStatusThatIsNoneIsNoAnswer(_ status: String) async throws {
            let peer = try await Peer("HTTP/1.1 \(status) X\r\nContent-Length: 2\r\n\r\nok")
            try await Forwards.forwarding(to: peer.base).run { host in
                let answer = try await host.call("GET", "/")
                #expect(answer.status == 502)
                #expect(Forwards.kind(await Forwards.outcome(host)) == "broken")
                await #expect(throws: PluginCallError.self) {
                    _ = try await host.caller.call(
                        peer.base, PluginRequest("GET", "/v1/status"), within: .seconds(20), limit: 1 << 20)
                }
            }
            try await peer.stop()
        }

        @Test(arguments: ["", "HTTP/1.1 200 OK\r\nContent-Le", "garbage\r\n\r\n"])
        @Loop func aPluginThatEndsBeforeItsHeadIsBroken(_ text: String) async throws {
            let peer = try await Peer(text, thenCloses: true)
            try await Forwards.forwarding(to: peer.base, attempts: 3).run { host in
                let answer = try await host.call("GET", "/")
                #expect(answer.status == 502)
                #expect(Forwards.kind(await Forwards.outcome(host)) == "broken")
                #expect(peer.wires.count == 1)
            }
            try await peer.stop()
        }

        @Test(arguments: [
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        ]) @Loop func anAnswerThatEndsInTheMiddleEndsTheConnectionAndIsNotMadeWhole(_ text: String) async throws {
            let peer = try await Peer(text, thenCloses: true)
            try await Forwards.forwarding(to: peer).run { host in
                let wire = try await Wire.connect(host.port)
                wire.send(Forwards.get)
                await until("cut") { wire.isClosed }
                #expect(wire.text == text)
                #expect(Forwards.kind(await Forwards.outcome(host)) == "broken")
                // A caller of the old version sees the end of the body in the end of the connection.
                let old = try await Wire.connect(host.port)
                old.send("GET / HTTP/1.0\r\n\r\n")
                await until("cut") { old.isClosed }
                #expect(old.isReset != old.text.contains("Content-Length"))
            }
            try await peer.stop()
        }

        @Test @Loop func aPluginThatHangsEndsAtTheDeadlineAndIsLetGo() async throws {
            let peer = try await Peer { _ in }
            try await Forwards.forwarding(to: peer, deadline: .milliseconds(150)).run { host in
                let answer = try await host.call("GET", "/")
                #expect(answer.status == 504)
                #expect(await Forwards.outcome(host) == .timedOut)
                await until("let go") { peer.wires.allSatisfy(\.isClosed) }
            }
            try await peer.stop()
        }

        @Test @Loop func aPluginThatHangsInItsAnswerEndsAtTheDeadline() async throws {
            let peer = try await Peer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            try await Forwards.forwarding(to: peer, deadline: .seconds(2)).run { host in
                let wire = try await Wire.connect(host.port)
                wire.send(Forwards.get)
                await until("what there is is there at once") { wire.text.hasSuffix("half") }
                await until("cut") { wire.isClosed }
                #expect(await Forwards.outcome(host) == .timedOut)
                await until("let go") { peer.wires.allSatisfy(\.isClosed) }
            }
            try await peer.stop()
        }

        @Test @Loop func aPluginThatNeverEndsIsEndedAtTheLimit() async throws {
            let peer = try await Peer { wire in
                wire.send(Forwards.endless)
                wire.pour(Forwards.chunk)
            }
            try await Forwards.forwarding(to: peer.base, responseLimit: 1 << 20).run { host in
                let wire = try await Wire.connect(host.port)
                wire.send(Forwards.get)
                await until("cut") { wire.isClosed }
                #expect(!wire.text.hasSuffix("0\r\n\r\n") && wire.count < 1 << 21)
                #expect(await Forwards.outcome(host) == .responseTooLarge)
                await until("let go") { peer.wires.allSatisfy(\.isClosed) }
            }
            try await peer.stop()
        }

        @Test @Loop func anAnswerThatIsAnnouncedTooLargeIsRefusedWhole() async throws {
            let peer = try await Peer("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nx")
            try await Forwards.forwarding(to: peer.base, responseLimit: 10).run { host in
                let answer = try await host.call("GET", "/")
                #expect(answer.status == 502)
                #expect(await Forwards.outcome(host) == .responseTooLarge)
            }
            try await peer.stop()
        }

        // MARK: callers

        @Test @Loop func aRequestThatIsTooLargeIsRefusedAnnouncedOrNot() async throws {
            let peer = try await Peer { _ in }
            try await Forwards.forwarding(to: peer.base, requestLimit: 10).run { host in
                let announced = try await Wire.connect(host.port)
                announced.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n")
                await until("refused") { announced.text.hasPrefix("HTTP/1.1 413 ") }
                #expect(await Forwards.outcome(host) == .requestTooLarge && peer.wires.isEmpty)
                host.desk.outcomes.entries = []
                let seen = try await Wire.connect(host.port)
                seen.send(
                    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n6\r\n123456\r\n")
                await until("refused") { seen.text.hasPrefix("HTTP/1.1 413 ") }
                #expect(await Forwards.outcome(host) == .requestTooLarge)
                await until("let go") { peer.wires.allSatisfy(\.isClosed) }
            }
            try await peer.stop()
        }

        @Test(arguments: [Forwards.get, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\nhalf"])
        @Loop func aCallerThatGoesAwayEndsTheRequest(_ text: String) async throws {
            for resets in [false, true] {
                let peer = try await Peer { _ in }
                try await Forwards.forwarding(to: peer).run { host in
                    let wire = try await Wire.connect(host.port)
                    wire.send(text)
                    await until("it is under way") { peer.wires.first?.text.contains("\r\n\r\n") ?? false }
                    if resets { wire.reset() } else { wire.close() }
                    #expect(await Forwards.outcome(host) == .abandoned)
                    await until("let go") { peer.wires.allSatisfy(\.isClosed) }
                }
                try await peer.stop()
            }
        }

        @Test @Loop func aCallerThatGoesAwayInTheMiddleOfAnAnswerEndsTheRequest() async throws {
            let peer = try await Peer { wire in
                wire.send(Forwards.endless)
                wire.pour(Forwards.chunk)
            }
            try await Forwards.forwarding(to: peer.base, responseLimit: .max).run { host in
                let wire = try await Wire.connect(host.port)
                wire.send(Forwards.get)
                await until("it flows") { wire.count > 100_000 }
                wire.close()
                #expect(await Forwards.outcome(host) == .abandoned)
                await until("let go") { peer.wires.allSatisfy(\.isClosed) }
            }
            try await peer.stop()
        }

        @Test @Loop func aCallerThatGoesAwayBeforeTheDecisionIsToldOf() async throws {
            let peer = try await Peer { _ in }
            let go = Journal<Void>()
            let host = TestHost { desk, head in
                await until("told") { !go.entries.isEmpty }
                return desk.forward(head, to: peer.base)
            }
            try await host.run { host in
                let wire = try await Wire.connect(host.port)
                wire.send(Forwards.get)
                await until("being decided") { host.desk.heads.count == 1 }
                wire.close()
                await until("gone") { await host.server.connections == 0 }
                #expect(await host.server.requests == 1)
                go.note(())
                #expect(await Forwards.outcome(host) == .abandoned)
                #expect(peer.wires.isEmpty)
            }
            try await peer.stop()
        }

        @Test @Loop func aCallerThatSendsTooSlowlyIsRefusedAndThePluginLetGo() async throws {
            let peer = try await Peer { _ in }
            var options = KeelServerOptions()
            options.reading = .milliseconds(150)
            let host = TestHost(options) { desk, head in desk.forward(head, to: peer.base) }
            try await host.run { host in
                let wire = try await Wire.connect(host.port)
                wire.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\nhalf")
                await until("refused") { wire.isClosed }
                #expect(wire.text.hasPrefix("HTTP/1.1 408 "))
                #expect(await Forwards.outcome(host) == .abandoned)
                await until("let go") { peer.wires.allSatisfy(\.isClosed) }
            }
            try await peer.stop()
        }

        @Test @Loop func aCallerThatTakesNothingHoldsThePluginBackUntilTheDeadline() async throws {
            let peer = try await Peer { wire in
                wire.send(Forwards.endless)
                wire.pour(Forwards.chunk)
            }
            try await Forwards.forwarding(to: peer.base, deadline: .milliseconds(600), responseLimit: .max).run {
                host in
                let wire = try await Wire.connect(host.port)
                wire.stopReading()
                wire.send(Forwards.get)
                #expect(await Forwards.outcome(host) == .timedOut)
                await until("let go") { peer.wires.allSatisfy(\.isClosed) }
            }
            // What the buffers between here and there have room for.
            #expect(peer.wires[0].poured < 64 << 20)
            try await peer.stop()
        }

        @Test @Loop func aPluginThatTakesNothingHoldsTheCallerBackUntilTheDeadline() async throws {
            let peer = try await Peer { $0.stopReading() }
            try await Forwards.forwarding(to: peer.base, deadline: .seconds(1), requestLimit: .max).run { host in
                let wire = try await Wire.connect(host.port)
                wire.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
                wire.pour(Forwards.chunk)
                #expect(await Forwards.outcome(host) == .timedOut)
                await until("let go") { peer.wires.allSatisfy(\.isClosed) || peer.wires[0].count > 0 }
                #expect(wire.poured < 64 << 20)
                await until("answered") { wire.text.hasPrefix("HTTP/1.1 504 ") }
                await until("ended, for it goes on") { wire.isClosed }
            }
            try await peer.stop()
        }

        @Test @Loop func anAnswerMayComeBeforeTheRequestIsWhole() async throws {
            let peer = try await Peer { wire in
                guard wire.text.contains("begin"), wire.text.components("\r\n\r\n") == 1 else { return }
                wire.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
            }
            try await Forwards.forwarding(to: peer).run { host in
                let wire = try await Wire.connect(host.port)
                wire.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000\r\n\r\nbegin")
                await until("the answer") { wire.text.hasSuffix("\r\n\r\nno") }
                #expect(await Forwards.outcome(host) == .answered(status: 401))
                await until("let go") { peer.wires.allSatisfy(\.isClosed) }
                // What is left is dropped, and the connection goes on.
                wire.send(Bytes(repeating: 0x78, count: 4_000_000 - 5))
                wire.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nbegin")
                await until("the next answer") { wire.text.components("401") == 2 }
            }
            try await peer.stop()
        }

        @Test @Loop func requestsBehindOneAnotherOfOneConnectionGoThrough() async throws {
            try await Forwards.echo().run { plugin in
                try await Forwards.forwarding(to: plugin.base).run { host in
                    let wire = try await Wire.connect(host.port)
                    wire.send(
                        (10..<40).map { "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n\($0)" }.joined())
                    await until("all") { wire.text.components("200 OK") == 30 && wire.text.hasSuffix("39") }
                }
            }
        }
    }
#endif
