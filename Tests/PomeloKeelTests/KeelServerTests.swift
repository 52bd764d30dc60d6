// SPDX-License-Identifier: MIT
#if Keel
    import PomeloBytes
    import PomeloKeel
    import PomeloLoop
    import PomeloPlugins
    import TestHelpers
    import Testing

    /// What the server answers by itself, to callers that speak bytes.
    @Suite struct KeelServerTests {
        @Loop private func answering(_ text: String = "ok") -> TestHost {
            TestHost { _, _ in .answer(PluginResponse(200, body: Bytes(text.utf8))) }
        }

        /// A desk that says what it was sent.
        @Loop private func echoing(
            limit: Int = 4 << 20, within: Duration = .seconds(20), _ options: KeelServerOptions = .init()
        ) -> TestHost {
            TestHost(options) { _, _ in
                .work(limit: limit, within: within) { request in
                    PluginResponse(200, headers: [PluginHeader("X-Path", request.path)], body: request.body)
                }
            }
        }

        /// What comes back to some bytes, as soon as it ends so.
        @Loop private func reply(
            _ host: TestHost, to text: String, until end: String, at location: SourceLocation = #_sourceLocation
        ) async throws -> Wire {
            let wire = try await Wire.connect(host.port)
            wire.send(text)
            await until("\(end) in \(wire.text)", at: location) { wire.text.hasSuffix(end) }
            return wire
        }

        // MARK: requests

        @Test @Loop func theDeskIsToldTheHeadAsItCame() async throws {
            try await answering().run { host in
                let text =
                    "POST /a%2Fb//c?x=%20 HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nx-one: 2\r\nConnection: close\r\n"
                    + "Content-Length: 3\r\n\r\nabc"
                let wire = try await reply(host, to: text, until: "ok")
                let head = try #require(host.desk.heads.first)
                #expect(head.method == "POST" && head.path == "/a%2Fb//c?x=%20")
                #expect(head.peer == "127.0.0.1" && head.bodyLength == 3)
                #expect(head.headers.map(\.name) == ["Host", "X-One", "x-one", "Connection", "Content-Length"])
                #expect(wire.text.hasPrefix("HTTP/1.1 200 OK\r\n"))
                await until("closed as asked") { wire.isClosed }
            }
        }

        @Test @Loop func aTargetOfTheAbsoluteFormIsItsPath() async throws {
            try await answering().run { host in
                for (target, path) in [("http://h/x?y", "/x?y"), ("http://h", "/"), ("http://h?q", "/?q")] {
                    _ = try await reply(host, to: "GET \(target) HTTP/1.1\r\nHost: h\r\n\r\n", until: "ok")
                    #expect(host.desk.heads.last?.path == path)
                    #expect(host.desk.heads.last?.bodyLength == 0)
                }
            }
        }

        @Test @Loop func requestsOfOneConnectionAreAnsweredInTheirOrder() async throws {
            try await echoing().run { host in
                let wire = try await Wire.connect(host.port)
                let texts = (0..<50).map { "POST /\($0) HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n\($0 + 10)" }
                wire.send(texts.joined())
                await until("all answers") { wire.text.hasSuffix("\r\n\r\n59") }
                let paths = wire.text.split(separator: "\r\n").filter { $0.hasPrefix("X-Path: ") }.map {
                    $0.dropFirst(8)
                }
                #expect(paths.map(String.init) == (0..<50).map { "/\($0)" })
                #expect(!wire.isClosed && host.desk.heads.count == 50)
            }
        }

        @Test @Loop func aBodyInChunksCutAnywhereIsWhole() async throws {
            try await echoing().run { host in
                let wire = try await Wire.connect(host.port)
                let text =
                    "PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n"
                for byte in text.utf8 { wire.send([byte]) }
                await until("the answer") { wire.text.hasSuffix("\r\n\r\nabcde") }
                #expect(host.desk.heads.first.map { $0.bodyLength == nil } == true)
            }
        }

        @Test @Loop func headAndOptionsAndAnswersWithoutBodies() async throws {
            let host = TestHost { _, head in
                .answer(PluginResponse(head.path == "/none" ? 204 : 200, body: Bytes("body".utf8)))
            }
            try await host.run { host in
                let wire = try await Wire.connect(host.port)
                wire.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
                await until("the head") { wire.text.hasSuffix("Content-Length: 4\r\n\r\n") }
                wire.send("GET /none HTTP/1.1\r\nHost: h\r\n\r\n")
                await until("nothing more") { wire.text.hasSuffix("HTTP/1.1 204 No Content\r\n\r\n") }
                wire.send("OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n")
                await until("a body") { wire.text.hasSuffix("\r\n\r\nbody") }
            }
        }

        @Test @Loop func callersOfTheOldVersionAreAnsweredInIt() async throws {
            try await answering().run { host in
                let once = try await reply(host, to: "GET / HTTP/1.0\r\n\r\n", until: "ok")
                #expect(once.text.hasPrefix("HTTP/1.0 200 OK\r\n"))
                await until("closed") { once.isClosed }
                let kept = try await reply(host, to: "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", until: "ok")
                #expect(kept.text.contains("Connection: keep-alive\r\n"))
                kept.send("GET / HTTP/1.0\r\n\r\n")
                await until("closed after the second") { kept.isClosed }
                #expect(kept.text.components("HTTP/1.0 200 OK") == 2)
            }
        }

        @Test @Loop func anUpgradeIsNotMade() async throws {
            try await echoing().run { host in
                let wire = try await Wire.connect(host.port)
                wire.send(
                    "POST /x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                        + "Content-Length: 2\r\n\r\nhi")
                await until("answered, and closed") { wire.isClosed }
                #expect(wire.text.hasPrefix("HTTP/1.1 200 OK\r\n") && wire.text.hasSuffix("\r\n\r\nhi"))
            }
        }

        @Test(arguments: [0, -1, 99, 101, 600, 1_000_000]) @Loop func aStatusThatIsNoneIsAFault(_ status: Int)
            async throws
        {
            try await TestHost { _, _ in .answer(PluginResponse(status)) }.run { host in
                let answer = try await host.call("GET", "/")
                #expect(answer.status == 500)
            }
        }

        // MARK: bodies

        @Test @Loop func aBodyIsAskedForOnlyWhenSomebodyWantsIt() async throws {
            let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
            try await echoing().run { host in
                let wire = try await reply(host, to: head, until: "HTTP/1.1 100 Continue\r\n\r\n")
                wire.send("hi")
                await until("the answer") { wire.text.hasSuffix("\r\n\r\nhi") }
                #expect(!wire.isClosed)
            }
            try await answering().run { host in
                let wire = try await reply(host, to: head, until: "ok")
                #expect(!wire.text.contains("100 Continue"))
                await until("closed, for nobody knows what would come") { wire.isClosed }
            }
        }

        @Test @Loop func whatIsLeftOfARequestThatWasAnsweredIsDropped() async throws {
            var options = KeelServerOptions()
            options.droppedBytes = 1000
            let host = TestHost(options) { _, _ in .answer(PluginResponse(200, body: Bytes("ok".utf8))) }
            try await host.run { host in
                let wire = try await reply(
                    host, to: "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n", until: "ok")
                wire.send(String(repeating: "x", count: 1000) + "GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
                await until("the next answer") { wire.text.components("ok") == 2 }
                #expect(host.desk.heads.last?.path == "/next")
                let long = try await reply(
                    host, to: "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n", until: "ok")
                #expect(long.text.contains("Connection: close\r\n"))
                long.send(String(repeating: "x", count: 5000))
                await until("closed") { long.isClosed }
                #expect(host.desk.heads.count == 3)
            }
        }

        @Test @Loop func aBodyHasALimitAnnouncedOrNot() async throws {
            try await echoing(limit: 10).run { host in
                let announced = try await reply(
                    host, to: "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n", until: "failed")
                #expect(announced.text.hasPrefix("HTTP/1.1 413 "))
                let seen = try await reply(
                    host,
                    to: "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n5\r\n12345\r\n",
                    until: "failed")
                #expect(seen.text.hasPrefix("HTTP/1.1 413 ") && seen.text.contains("Connection: close"))
                _ = try await reply(
                    host, to: "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n1234567890",
                    until: "\r\n\r\n1234567890")
            }
        }

        // MARK: work

        @Test @Loop func workThatTakesTooLongIsCancelledAndAnswered() async throws {
            let journal = Journal<String>()
            let host = TestHost { _, _ in
                .work(limit: 10, within: .milliseconds(100)) { _ in
                    await SystemClock.shared.sleep(for: .seconds(60))
                    journal.note(Task.isCancelled ? "cancelled" : "slept")
                    return PluginResponse(200)
                }
            }
            try await host.run { host in
                #expect(try await host.call("GET", "/").status == 504)
                await until("it has ended") { journal.entries == ["cancelled"] }
                try await eventually("nothing is in progress") { await host.server.requests == 0 }
            }
        }

        @Test @Loop func workGoesOnWhenItsCallerGoesAway() async throws {
            let journal = Journal<String>()
            let go = Journal<Void>()
            let host = TestHost { _, _ in
                .work(limit: 10, within: .seconds(20)) { _ in
                    journal.note("begun")
                    await until("told") { !go.entries.isEmpty }
                    journal.note(Task.isCancelled ? "cancelled" : "done")
                    return PluginResponse(200)
                }
            }
            try await host.run { host in
                let wire = try await Wire.connect(host.port)
                wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                await until("begun") { journal.entries == ["begun"] }
                wire.close()
                await until("gone") { wire.isClosed }
                #expect(await host.server.requests == 1)
                go.note(())
                await until("done") { journal.entries == ["begun", "done"] }
                try await eventually("nothing is in progress") { await host.server.requests == 0 }
            }
        }

        @Test @Loop func anAnswerCannotEndItsHeadBeforeItsTime() async throws {
            let host = TestHost { _, _ in
                let headers = [
                    PluginHeader("X-A", "1\r\nX-Evil: 1"), PluginHeader("X B", "2"), PluginHeader("X-C", "3\u{0}"),
                    PluginHeader("Content-Length", "99"), PluginHeader("Transfer-Encoding", "chunked"),
                    PluginHeader("Connection", "x-d"), PluginHeader("X-D", "4"), PluginHeader("X-E", "5"),
                ]
                return .answer(PluginResponse(200, headers: headers, body: Bytes("ok".utf8)))
            }
            try await host.run { host in
                let wire = try await reply(host, to: "GET / HTTP/1.1\r\nHost: h\r\n\r\n", until: "ok")
                #expect(wire.text == "HTTP/1.1 200 OK\r\nX-E: 5\r\nContent-Length: 2\r\n\r\nok")
            }
        }

        // MARK: beginning and ending

        @Test @Loop func aPortThatIsTakenIsSaid() async throws {
            try await answering().run { host in
                let other = answering()
                let text = await failureText { try await other.server.start(port: host.port) }
                #expect(text.contains("127.0.0.1:\(host.port)"))
                #expect(await failureCode { try await other.server.start() } == "configuration")
                #expect(await failureCode { try await answering().server.start(port: 70000) } == "configuration")
                #expect(
                    await failureCode { try await answering().server.start(host: "nobody.invalid") } == "configuration")
                await other.server.stop()
                await other.caller.stop()
            }
        }

        @Test @Loop func aStopLetsRequestsEndAndTakesNoFurtherOnes() async throws {
            let journal = Journal<Void>()
            let host = TestHost { _, _ in
                .work(limit: 10, within: .seconds(20)) { _ in
                    journal.note(())
                    await until("stopping") { journal.entries.count == 2 }
                    return PluginResponse(200, body: Bytes("done".utf8))
                }
            }
            let port = try await host.server.start()
            let busy = try await Wire.connect(port)
            let idle = try await Wire.connect(port)
            busy.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await until("in progress") { journal.entries.count == 1 }
            let stop = Task { await host.server.stop(within: .seconds(20)) }
            await until("the idle one is closed") { idle.isClosed }
            // Its libraries close what listens and what is idle in any order.
            try await eventually("nobody is let in") { await thrown { try await Wire.connect(port) } != nil }
            #expect(!busy.isClosed)
            journal.note(())
            await stop.value
            await until("the busy one is closed") { busy.isClosed }
            #expect(busy.text.hasSuffix("done") && busy.text.contains("Connection: close\r\n"))
            #expect(host.server.port == nil)
            await host.server.stop()
            await host.caller.stop()
        }

        /// Who decides is likely to be who holds the server.
        @Test @Loop func aServerThatHasStoppedHoldsNobody() async throws {
            final class Holder: KeelDesk {
                var server: KeelServer?
                func decide(_ head: PluginHead) async -> PluginDecision { .answer(PluginResponse(204)) }
                func failure(_ outcome: PluginOutcome) -> PluginResponse { PluginResponse(502) }
            }
            weak var gone: Holder?
            let caller = KeelCaller()
            do {
                let holder = Holder()
                gone = holder
                let server = KeelServer(holder, caller: caller)
                holder.server = server
                let port = try await server.start()
                let answer = try await caller.call(
                    "http://127.0.0.1:\(port)", PluginRequest("GET", "/"), within: .seconds(20), limit: 0)
                #expect(answer.status == 204)
                await server.stop()
            }
            await until("nobody holds it") { gone == nil }
            await caller.stop()
        }

        @Test @Loop func aStopEndsWhatDoesNotEndInTime() async throws {
            let host = TestHost { _, _ in
                .work(limit: 10, within: .seconds(60)) { _ in
                    await SystemClock.shared.sleep(for: .seconds(1))
                    return PluginResponse(200)
                }
            }
            let port = try await host.server.start()
            let wire = try await Wire.connect(port)
            wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await until("in progress") { !host.desk.heads.isEmpty }
            await host.server.stop(within: .milliseconds(50))
            await until("closed") { wire.isClosed }
            #expect(wire.text.isEmpty)
            await host.caller.stop()
        }
    }

    extension String {
        /// How often another text is in it.
        func components(_ text: String) -> Int { split(separator: text, omittingEmptySubsequences: false).count - 1 }
    }
#endif
