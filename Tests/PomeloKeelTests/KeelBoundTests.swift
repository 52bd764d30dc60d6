// SPDX-License-Identifier: MIT
#if Keel
    import PomeloBytes
    import PomeloKeel
    import PomeloLoop
    import PomeloPlugins
    import TestHelpers
    import Testing

    /// What callers may not do, and how much of the rest.
    @Suite struct KeelBoundTests {
        @Loop private func host(_ change: (inout KeelServerOptions) -> Void = { _ in }) -> TestHost {
            var options = KeelServerOptions()
            change(&options)
            return TestHost(options) { _, _ in .answer(PluginResponse(200, body: Bytes("ok".utf8))) }
        }

        struct Bad: Sendable, CustomTestStringConvertible {
            let what: String
            let text: String
            let status: Int
            var testDescription: String { what }

            init(_ what: String, _ text: String, _ status: Int) {
                (self.what, self.text, self.status) = (what, text, status)
            }

            private static func head(_ line: String, _ headers: String...) -> String {
                ([line, "Host: h"] + headers).map { $0 + "\r\n" }.joined() + "\r\n"
            }

            private static func many(_ count: Int, of text: String) -> String { String(repeating: text, count: count) }

            static let all = [
                Bad("garbage", "garbage\r\n\r\n", 400),
                Bad("another protocol", "\u{16}\u{3}\u{1}\r\n\r\n", 400),
                Bad("no version", "GET /\r\n\r\n", 400),
                Bad("another version", head("GET / HTTP/2.0"), 400),
                Bad("no host", "GET / HTTP/1.1\r\n\r\n", 400),
                Bad("two hosts", head("GET / HTTP/1.1", "Host: i"), 400),
                Bad("no path", head("GET * HTTP/1.1"), 400),
                Bad("another scheme", head("GET ftp://h/x HTTP/1.1"), 400),
                Bad("a control character", head("GET / HTTP/1.1", "X: a\u{1}b"), 400),
                Bad("a folded header", head("GET / HTTP/1.1", "X: a", " b"), 400),
                Bad("two lengths", head("POST / HTTP/1.1", "Content-Length: 1", "Content-Length: 2"), 400),
                Bad(
                    "length and chunks", head("POST / HTTP/1.1", "Content-Length: 1", "Transfer-Encoding: chunked"), 400
                ),
                Bad("a negative length", head("POST / HTTP/1.1", "Content-Length: -1"), 400),
                Bad("a length beyond numbers", head("POST / HTTP/1.1", "Content-Length: 99999999999999999999999"), 400),
                Bad("zipped chunks", head("POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked"), 501),
                Bad("chunks of the old version", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
                Bad("a tunnel", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 405),
                Bad("a trace", head("TRACE / HTTP/1.1"), 405),
                Bad("a long path", head("GET /\(many(8192, of: "x")) HTTP/1.1"), 414),
                Bad("a header that is too long", head("GET / HTTP/1.1", "X: \(many(16384, of: "x"))"), 431),
                Bad(
                    "headers that are too long",
                    head("GET / HTTP/1.1", many(9, of: "X: \(many(2000, of: "x"))\r\n") + "Y: 1"), 431),
                Bad("too many headers", head("GET / HTTP/1.1", many(100, of: "X: 1\r\n") + "Y: 1"), 431),
                Bad("a head that does not end", "GET / HTTP/1.1\r\nX: " + many(30000, of: "x"), 431),
                Bad("a path that does not end", "GET /" + many(30000, of: "x"), 431),
            ]
        }

        @Test(arguments: Bad.all) @Loop func whatIsNoRequestIsRefused(_ bad: Bad) async throws {
            try await host().run { host in
                let wire = try await Wire.connect(host.port)
                wire.send(bad.text)
                await until("closed") { wire.isClosed }
                #expect(
                    wire.text.hasPrefix("HTTP/1.1 \(bad.status) ") || wire.text.hasPrefix("HTTP/1.0 \(bad.status) "))
                #expect(wire.text.contains("Connection: close\r\n") && wire.text.contains(#"{"errorCode":"ERR_"#))
                #expect(wire.text.components("HTTP/1.") == 1 && !wire.isReset)
                #expect(host.desk.heads.isEmpty)
            }
        }

        @Test @Loop func whatIsJustWithinTheBoundsIsTaken() async throws {
            try await host().run { host in
                let long = String(repeating: "x", count: 8191)
                let filler = String(repeating: "x", count: 16000)
                let headers = (0..<97).map { "X\($0 % 10): 1\r\n" }.joined()
                let wire = try await Wire.connect(host.port)
                wire.send("GET /\(long) HTTP/1.1\r\nHost: h\r\nX: \(filler)\r\n\r\n")
                await until("taken") { wire.text.components("ok") == 1 }
                wire.send("GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\nY: 1\r\n\(headers)\r\n")
                await until("taken") { wire.text.components("ok") == 2 }
            }
        }

        @Test @Loop func garbageBehindARequestEndsTheConnectionAfterItsAnswer() async throws {
            try await host().run { host in
                let wire = try await Wire.connect(host.port)
                wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\ngarbage\r\n\r\n")
                await until("closed") { wire.isClosed }
                #expect(wire.text.components("HTTP/1.1 200 OK") == 1 && wire.text.hasSuffix("ok"))
            }
        }

        @Test @Loop func garbageInABodyEndsTheRequest() async throws {
            let host = TestHost { _, _ in .work(limit: 10, within: .seconds(20)) { _ in PluginResponse(200) } }
            try await host.run { host in
                let wire = try await Wire.connect(host.port)
                wire.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
                await until("closed") { wire.isClosed }
                #expect(wire.text.hasPrefix("HTTP/1.1 400 "))
                try await eventually("nothing is in progress") { await host.server.requests == 0 }
            }
        }

        @Test @Loop func requestsInProgressHaveABound() async throws {
            let go = Journal<Void>()
            var options = KeelServerOptions()
            options.requests = 2
            let host = TestHost(options) { _, _ in
                .work(limit: 10, within: .seconds(20)) { _ in
                    await until("told") { !go.entries.isEmpty }
                    return PluginResponse(200)
                }
            }
            try await host.run { host in
                let first = [Task { try await host.call("GET", "/") }, Task { try await host.call("GET", "/") }]
                await until("both are in progress") { host.desk.heads.count == 2 }
                let more = try await host.call("GET", "/")
                #expect(more.status == 503 && more.headers["retry-after"] == "1" && host.desk.heads.count == 2)
                go.note(())
                for task in first { #expect(try await task.value.status == 200) }
                #expect(try await host.call("GET", "/").status == 200)
                #expect(await host.server.requests == 0)
            }
        }

        @Test @Loop func connectionsHaveABoundBeyondWhichTheyWait() async throws {
            try await host { $0.connections = 2 }.run { host in
                let wires = [try await Wire.connect(host.port), try await Wire.connect(host.port)]
                let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
                for wire in wires {
                    wire.send(request)
                    await until("answered") { wire.text.hasSuffix("ok") }
                }
                let third = try await Wire.connect(host.port)
                third.send(request)
                for wire in wires {
                    wire.send(request)
                    await until("answered again") { wire.text.components("ok") == 2 }
                }
                #expect(third.text.isEmpty)
                wires[0].close()
                await until("there is room") { third.text.hasSuffix("ok") }
            }
        }

        @Test @Loop func aConnectionWithoutARequestEnds() async throws {
            try await host { $0.idle = .seconds(1) }.run { host in
                let silent = try await Wire.connect(host.port)
                await until("closed") { silent.isClosed }
                #expect(silent.text.isEmpty)
                let used = try await Wire.connect(host.port)
                used.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                await until("closed after its answer") { used.isClosed }
                #expect(used.text.hasSuffix("ok"))
            }
        }

        @Test(arguments: [
            "G", "GET / HTTP/1.1\r\nHost: h\r\n", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx",
        ])
        @Loop func aRequestThatTakesTooLongIsRefused(_ text: String) async throws {
            var options = KeelServerOptions()
            options.reading = .milliseconds(100)
            let host = TestHost(options) { _, _ in .work(limit: 10, within: .seconds(20)) { _ in PluginResponse(200) } }
            try await host.run { host in
                let wire = try await Wire.connect(host.port)
                wire.send(text)
                await until("closed") { wire.isClosed }
                #expect(wire.text.hasPrefix("HTTP/1.1 408 "))
                try await eventually("nothing is in progress") { await host.server.requests == 0 }
            }
        }

        @Test @Loop func bytesNowAndThenDoNotKeepAHeadOpen() async throws {
            try await host { $0.reading = .milliseconds(300) }.run { host in
                let wire = try await Wire.connect(host.port)
                wire.send("GET / HTTP/1.1\r\nX: ")
                await until("refused all the same") {
                    wire.send("x")
                    return wire.isClosed
                }
                #expect(wire.text.hasPrefix("HTTP/1.1 408 "))
            }
        }

        @Test @Loop func aCallerThatIsRefusedAndStaysIsEnded() async throws {
            try await host { $0.lingering = .milliseconds(100) }.run { host in
                let wire = try await Wire.connect(host.port, stays: true)
                wire.send("POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\n")
                await until("refused") { wire.text.hasPrefix("HTTP/1.1 400 ") }
                await until("ended") { await host.server.connections == 0 }
            }
            var options = KeelServerOptions()
            (options.lingering, options.droppedBytes) = (.seconds(60), 100_000)
            let host = TestHost(options) { _, _ in .answer(PluginResponse(200)) }
            try await host.run { host in
                let wire = try await Wire.connect(host.port, stays: true)
                wire.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: h\r\n\r\n")
                await until("answered") { wire.text.hasPrefix("HTTP/1.1 200 ") }
                wire.pour(Forwards.chunk)
                await until("ended") { await host.server.connections == 0 }
            }
        }

        @Test @Loop func aCallerThatTakesNothingIsEnded() async throws {
            var options = KeelServerOptions()
            options.writing = .milliseconds(200)
            // More than all buffers between here and there.
            let big = Bytes(repeating: 1, count: 32 << 20)
            let host = TestHost(options) { _, _ in .answer(PluginResponse(200, body: big)) }
            try await host.run { host in
                let wire = try await Wire.connect(host.port)
                wire.stopReading()
                wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                try await eventually("it was in progress") { host.desk.heads.count == 1 }
                try await eventually("it has ended") { await host.server.requests == 0 }
                #expect(wire.count < big.count)
            }
        }
    }
#endif
