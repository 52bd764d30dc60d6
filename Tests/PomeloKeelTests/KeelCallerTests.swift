// SPDX-License-Identifier: MIT
#if Keel
    import PomeloBytes
    import PomeloKeel
    import PomeloLoop
    import PomeloPlugins
    import TestHelpers
    import Testing

    /// The client beside peers that behave, and peers that do not.
    @Suite struct KeelCallerTests {
        @Loop private func with<Value>(
            _ options: KeelCallerOptions = KeelCallerOptions(), _ body: @Loop (KeelCaller) async throws -> Value
        ) async throws -> Value {
            let caller = KeelCaller(options)
            let result: Result<Value, any Error>
            do { result = .success(try await body(caller)) } catch { result = .failure(error) }
            await caller.stop()
            return try result.get()
        }

        @Loop private func call(
            _ base: String, _ method: String = "GET", _ path: String = "/", headers: [PluginHeader] = [],
            body: Bytes = [], within: Duration = .seconds(20), limit: Int = 1 << 20,
            options: KeelCallerOptions = .init()
        ) async throws -> PluginResponse {
            try await with(options) { caller in
                try await caller.call(
                    base, PluginRequest(method, path, headers: headers, body: body), within: within, limit: limit)
            }
        }

        /// The kind of failure.
        @Loop private func failure(
            of answer: String, thenCloses: Bool = true, within: Duration = .seconds(20), limit: Int = 1 << 20
        ) async throws -> String {
            let peer = try await Peer(answer, thenCloses: thenCloses)
            let error = await thrown { try await call(peer.base, within: within, limit: limit) }
            try await peer.stop()
            return kind(error)
        }

        private func kind(_ error: (any Error)?) -> String {
            switch error as? PluginCallError {
            case .unreachable: "unreachable"
            case .broken: "broken"
            case .timeout: "timeout"
            case .tooLarge: "tooLarge"
            case .malformed: "malformed"
            case nil: error.map { "\($0)" } ?? "none"
            }
        }

        @Test @Loop func aRequestArrivesAsItIsAndItsAnswerIsReturnedAsItIs() async throws {
            let peer = try await Peer { wire in
                guard wire.text.hasSuffix("hello") else { return }
                wire.send("HTTP/1.1 418 Teapot\r\nContent-Length: 3\r\nX-A: 1\r\nX-a: 2\r\n\r\ntea")
            }
            let answer = try await call(
                "\(peer.base)/pre", "POST", "/a%2Fb//c/../d;e?x=%20&y=1+2", headers: [PluginHeader("X-Mine", "yes")],
                body: Bytes("hello".utf8))
            #expect(answer.status == 418 && answer.text == "tea")
            #expect(answer.headers.filter { $0.name.lowercased() == "x-a" }.map(\.value) == ["1", "2"])
            let sent = peer.wires[0].text
            #expect(sent.hasPrefix("POST /pre/a%2Fb//c/../d;e?x=%20&y=1+2 HTTP/1.1\r\n"))
            #expect(sent.contains("X-Mine: yes\r\n") && sent.contains("Content-Length: 5\r\n"))
            #expect(sent.lowercased().contains("host: 127.0.0.1:\(peer.port)\r\n"))
            try await peer.stop()
        }

        @Test @Loop func headersOfOneHopAreNeitherSentNorReturned() async throws {
            let peer = try await Peer(
                "HTTP/1.1 200 OK\r\nConnection: keep-alive, x-hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n"
                    + "Proxy-Authenticate: a\r\nUpgrade: h2c\r\nTrailer: x\r\nX-End: 2\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
            let hop = [
                ("Connection", "close, X-Mine"), ("X-Mine", "1"), ("Keep-Alive", "1"), ("TE", "trailers"),
                ("Proxy-Authorization", "1"), ("Upgrade", "h2c"), ("Trailer", "x"), ("Expect", "100-continue"),
                ("Transfer-Encoding", "gzip"), ("Content-Length", "77"), ("X-End", "3"), ("X-Bad", "a\r\nX-Evil: 1"),
            ]
            let answer = try await call(peer.base, headers: hop.map { PluginHeader($0.0, $0.1) })
            #expect(answer.headers == [PluginHeader("X-End", "2")] && answer.text == "ok")
            let sent = Set(
                peer.wires[0].text.split(separator: "\r\n").dropFirst().compactMap {
                    $0.split(separator: ":").first.map { Text($0.lowercased()) }
                })
            #expect(sent == ["x-end", "host"])
            try await peer.stop()
        }

        @Test @Loop func whatMayNotStandInAURLIsEscapedAndNothingElse() async throws {
            let peer = try await Peer("HTTP/1.1 204 No Content\r\n\r\n")
            let answer = try await call(peer.base, "GET", "/{a}%2f|b?q=[1]&r=100%&s=%zz&t=é")
            #expect(answer.status == 204 && answer.body.isEmpty)
            #expect(
                peer.wires[0].text.hasPrefix(
                    "GET /%7Ba%7D%2f%7Cb?q=%5B1%5D&r=100%25&s=%25zz&t=%C3%A9 HTTP/1.1\r\n"))
            try await peer.stop()
        }

        @Test @Loop func aPeerThatIsNotThereIsUnreachable() async throws {
            let port = try await SilentPort()
            #expect(kind(await thrown { try await call(port.base) }) == "unreachable")
            port.release()
            #expect(kind(await thrown { try await call("http://nobody.invalid") }) == "unreachable")
            var options = KeelCallerOptions()
            options.connect = .milliseconds(200)
            // An address of documentation: the connection is refused, or nobody answers.
            #expect(kind(await thrown { try await call("http://192.0.2.1:9", options: options) }) == "unreachable")
        }

        @Test(arguments: ["", "nonsense", "ftp://127.0.0.1", "http://", "http:///x", "http://127.0.0.1:x"])
        @Loop func whatIsNoAddressIsUnreachable(_ base: String) async throws {
            #expect(kind(await thrown { try await call(base) }) == "unreachable")
        }

        @Test(arguments: [("G T", "/"), ("", "/"), ("CONNECT", "/"), ("GET", "x"), ("GET", "")])
        @Loop func whatIsNoRequestIsUnreachable(_ method: String, _ path: String) async throws {
            let peer = try await Peer("HTTP/1.1 204 No Content\r\n\r\n")
            #expect(kind(await thrown { try await call(peer.base, method, path) }) == "unreachable")
            #expect(peer.wires.isEmpty)
            try await peer.stop()
        }

        @Test(arguments: [
            "", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "HTTP/1.1 200 OK\r\nContent-Le",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", "HTTP/1.1 100 Continue\r\n\r\n",
        ])
        @Loop func aPeerThatClosesInTheMiddleIsBroken(_ answer: String) async throws {
            #expect(try await failure(of: answer) == "broken")
        }

        @Test @Loop func aPeerThatResetsIsBroken() async throws {
            let peer = try await Peer { wire in
                wire.send("HTTP/1.1 200 OK\r\n")
                wire.reset()
            }
            #expect(kind(await thrown { try await call(peer.base) }) == "broken")
            try await peer.stop()
        }

        @Test(arguments: [
            "garbage\r\n\r\n", "\u{0}\u{1}\u{2}\u{3}", "HTTP/9.9 200 OK\r\n\r\n", "HTTP/1.1 two OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 101 Switching\r\n\r\n",
            "HTTP/1.1 999 Beyond\r\nContent-Length: 0\r\n\r\n",
        ])
        @Loop func whatIsNoAnswerIsMalformed(_ answer: String) async throws {
            #expect(try await failure(of: answer, thenCloses: false) == "malformed")
        }

        @Test @Loop func headersWithoutEndAreRefused() async throws {
            let peer = try await Peer { wire in
                wire.send("HTTP/1.1 200 OK\r\n")
                wire.pour(Bytes("X-Filler: \(String(repeating: "x", count: 4000))\r\n".utf8))
            }
            #expect(kind(await thrown { try await call(peer.base) }) == "malformed")
            await until("closed") { peer.wires.allSatisfy(\.isClosed) }
            try await peer.stop()
        }

        @Test @Loop func aPeerThatSaysNothingEndsAtTheDeadlineAndIsLetGo() async throws {
            let peer = try await Peer { _ in }
            #expect(kind(await thrown { try await call(peer.base, within: .milliseconds(100)) }) == "timeout")
            await until("the connection is given up") { peer.wires.allSatisfy(\.isClosed) }
            #expect(kind(await thrown { try await call(peer.base, within: .zero) }) == "timeout")
            #expect(kind(await thrown { try await call(peer.base, within: .seconds(-5)) }) == "timeout")
            try await peer.stop()
        }

        @Test @Loop func aPeerThatNeverEndsIsEndedAtTheLimit() async throws {
            let peer = try await Peer { wire in
                guard wire.text.hasSuffix("\r\n\r\n") else { return }
                wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                wire.pour(Bytes("400\r\n\(String(repeating: "x", count: 1024))\r\n".utf8))
            }
            #expect(kind(await thrown { try await call(peer.base) }) == "tooLarge")
            await until("the connection is given up") { peer.wires.allSatisfy(\.isClosed) }
            try await peer.stop()
        }

        @Test @Loop func aPeerThatNeverEndsAndIsSlowIsEndedAtTheDeadline() async throws {
            let peer = try await Peer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
            #expect(kind(await thrown { try await call(peer.base, within: .milliseconds(150)) }) == "timeout")
            await until("the connection is given up") { peer.wires.allSatisfy(\.isClosed) }
            try await peer.stop()
        }

        @Test @Loop func aBodyIsTakenUpToTheLimitAndNoFurther() async throws {
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
            let peer = try await Peer(answer)
            #expect(try await call(peer.base, limit: 5).text == "hello")
            #expect(kind(await thrown { try await call(peer.base, limit: 4) }) == "tooLarge")
            try await peer.stop()
            // Announced, and not awaited.
            #expect(
                try await failure(of: "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", thenCloses: false)
                    == "tooLarge")
            #expect(try await failure(of: "HTTP/1.1 200 OK\r\n\r\nhello", limit: 4) == "tooLarge")
        }

        @Test @Loop func redirectsAreNotFollowed() async throws {
            let peer = try await Peer("HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n")
            let answer = try await call(peer.base)
            #expect(answer.status == 302 && answer.headers["location"] == "/other")
            #expect(peer.wires.count == 1 && !peer.wires[0].text.contains("/other"))
            try await peer.stop()
        }

        @Test @Loop func answersWithoutABodyEnd() async throws {
            let head = try await Peer("HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n")
            let answer = try await call(head.base, "HEAD", limit: 10)
            #expect(answer.headers["Content-Length"] == "9999999" && answer.body.isEmpty)
            try await head.stop()
            let unchanged = try await Peer("HTTP/1.1 304 Not Modified\r\nContent-Length: 9999999\r\n\r\n")
            #expect(try await call(unchanged.base, limit: 10).status == 304)
            try await unchanged.stop()
        }

        @Test @Loop func aBodyThatEndsWithTheConnectionIsWhole() async throws {
            let peer = try await Peer("HTTP/1.0 200 OK\r\n\r\nold", thenCloses: true)
            #expect(try await call(peer.base).text == "old")
            try await peer.stop()
        }

        @Test @Loop func anAnswerMayComeAfterOnesThatAreNone() async throws {
            let peer = try await Peer(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nX: 1\r\n\r\nHTTP/1.1 200 OK\r\n"
                    + "Content-Length: 2\r\n\r\nok")
            #expect(try await call(peer.base).text == "ok")
            try await peer.stop()
        }

        @Test @Loop func connectionsAreKeptAndOnesThatWereClosedAreNotUsed() async throws {
            let peer = try await Peer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            try await with { caller in
                for _ in 0..<3 {
                    _ = try await caller.call(peer.base, PluginRequest("GET", "/"), within: .seconds(20), limit: 10)
                }
                #expect(peer.wires.count == 1)
                peer.wires[0].close()
                await until("closed") { peer.wires[0].isClosed }
                // The client may hear of it a moment later: then the call was not executed, and says so.
                try await eventually("another connection") {
                    await thrown {
                        try await caller.call(peer.base, PluginRequest("GET", "/"), within: .seconds(20), limit: 10)
                    } == nil
                }
                #expect(peer.wires.count == 2)
            }
            try await peer.stop()
        }

        @Test @Loop func aCancelledTaskEndsItsCallAndNothingElse() async throws {
            let peer = try await Peer { _ in }
            try await with { caller in
                let task = Task {
                    await thrown {
                        try await caller.call(peer.base, PluginRequest("GET", "/"), within: .seconds(60), limit: 10)
                    }
                }
                await until("the request is there") { peer.wires.first?.text.isEmpty == false }
                task.cancel()
                #expect(kind(await task.value) == "broken")
                await until("the connection is given up") { peer.wires[0].isClosed }
            }
            try await peer.stop()
        }

        @Test @Loop func callsHaveABound() async throws {
            let peer = try await Peer { _ in }
            var options = KeelCallerOptions()
            options.calls = 2
            try await with(options) { caller in
                let hanging = (0..<2).map { _ in
                    Task {
                        await thrown {
                            try await caller.call(peer.base, PluginRequest("GET", "/"), within: .seconds(60), limit: 1)
                        }
                    }
                }
                await until("both are there") { peer.wires.count == 2 }
                let more = await thrown {
                    try await caller.call(peer.base, PluginRequest("GET", "/"), within: .seconds(60), limit: 1)
                }
                #expect(kind(more) == "unreachable" && peer.wires.count == 2)
                for task in hanging { task.cancel() }
                for task in hanging { #expect(kind(await task.value) == "broken") }
            }
            try await peer.stop()
        }

        @Test @Loop func aStopEndsCallsAndThereAreNoFurtherOnes() async throws {
            let peer = try await Peer { _ in }
            let caller = KeelCaller()
            let task = Task {
                await thrown {
                    try await caller.call(peer.base, PluginRequest("GET", "/"), within: .seconds(60), limit: 1)
                }
            }
            await until("the request is there") { peer.wires.first?.text.isEmpty == false }
            await caller.stop()
            #expect(kind(await task.value) == "broken")
            let after = await thrown {
                try await caller.call(peer.base, PluginRequest("GET", "/"), within: .seconds(60), limit: 1)
            }
            #expect(kind(after) == "unreachable")
            await caller.stop()
            try await peer.stop()
        }
    }
#endif
