// SPDX-License-Identifier: MIT
#if Keel
    import PomeloBytes
    import PomeloKeel
    import PomeloLoop
    import PomeloPlugins
    import TestHelpers
    import Testing

    /// Requests that somebody else answers.
    @Suite struct KeelForwardTests {
        @Test @Loop func largeBodiesFlowThroughByteByByte() async throws {
            let bytes = pattern(3 << 20)
            try await Forwards.echo().run { plugin in
                try await Forwards.forwarding(to: plugin.base).run { host in
                    let answer = try await host.call("PUT", "/big", body: bytes)
                    #expect(answer.status == 200 && answer.body == bytes && answer.headers["X-Method"] == "PUT")
                    #expect(await Forwards.outcome(host) == .answered(status: 200))
                    #expect(plugin.desk.heads.first?.bodyLength == bytes.count)
                }
            }
        }

        @Test @Loop func largeBodiesInChunksFlowThroughByteByByte() async throws {
            let bytes = pattern(3 << 20)
            try await Forwards.echo().run { plugin in
                try await Forwards.forwarding(to: plugin.base).run { host in
                    let wire = try await Wire.connect(host.port)
                    wire.send("POST /big HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
                    var rest = bytes[...]
                    while !rest.isEmpty {
                        let part = rest.prefix(50_000)
                        rest = rest.dropFirst(50_000)
                        wire.send(Bytes("\(String(part.count, radix: 16))\r\n".utf8) + part + Bytes("\r\n".utf8))
                    }
                    wire.send("0\r\n\r\n")
                    await until("all of it") { wire.count > bytes.count }
                    await until("all of it") { Bytes(wire.bytes.suffix(bytes.count)) == bytes }
                    #expect(plugin.desk.heads.first.map { $0.bodyLength == nil } == true)
                }
            }
        }

        @Test(arguments: [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nDate: then\r\n\r\nok",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone",
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 7\r\n\r\n",
            "HTTP/1.1 302 Found\r\nLocation: http://h/\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ]) @Loop func anAnswerIsHandedOnAsItIs(_ text: String) async throws {
            let peer = try await Peer(text)
            try await Forwards.forwarding(to: peer).run { host in
                let wire = try await Wire.connect(host.port)
                for count in 1...2 {
                    wire.send(Forwards.get)
                    await until("the answer") { wire.text == String(repeating: text, count: count) }
                }
                #expect(!wire.isClosed && peer.wires.count == 1)
            }
            try await peer.stop()
        }

        @Test @Loop func headersOfOneHopEndAtIt() async throws {
            let peer = try await Peer(
                "HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nX-End: 1\r\n"
                    + "Content-Length: 2\r\n\r\nok")
            try await Forwards.forwarding(to: peer).run { host in
                let wire = try await Wire.connect(host.port)
                wire.send(
                    "GET /a%2Fb?c HTTP/1.1\r\nHost: mine\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\n"
                        + "TE: trailers\r\nProxy-Authorization: x\r\nX-End: 2\r\n\r\n")
                await until("the answer") { wire.text == "HTTP/1.1 200 OK\r\nX-End: 1\r\nContent-Length: 2\r\n\r\nok" }
                #expect(peer.wires[0].text == "GET /a%2Fb?c HTTP/1.1\r\nHost: mine\r\nX-End: 2\r\n\r\n")
                #expect(!wire.isClosed)
            }
            try await peer.stop()
        }

        @Test @Loop func headAndOptionsGoThrough() async throws {
            let peer = try await Peer("HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n")
            try await Forwards.forwarding(to: peer.base, responseLimit: 10).run { host in
                let wire = try await Wire.connect(host.port)
                wire.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
                await until("the head") { wire.text == "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" }
                #expect(await Forwards.outcome(host) == .answered(status: 200))
            }
            try await peer.stop()
            let plain = try await Peer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            try await Forwards.forwarding(to: plain).run { host in
                let wire = try await Wire.connect(host.port)
                wire.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
                await until("the head") { wire.text == "HTTP/1.1 200 OK\r\n\r\n" }
                #expect(await Forwards.outcome(host) == .answered(status: 200) && !wire.isClosed)
            }
            try await plain.stop()
            try await Forwards.echo().run { plugin in
                try await Forwards.forwarding(to: plugin.base).run { host in
                    let answer = try await host.call("OPTIONS", "/")
                    #expect(answer.headers["X-Method"] == "OPTIONS")
                }
            }
        }

        @Test @Loop func aBodyIsAskedForWhenThePluginIsThere() async throws {
            let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
            try await Forwards.echo().run { plugin in
                try await Forwards.forwarding(to: plugin.base).run { host in
                    let wire = try await Wire.connect(host.port)
                    wire.send(head)
                    await until("asked") { wire.text == "HTTP/1.1 100 Continue\r\n\r\n" }
                    wire.send("hi")
                    await until("answered") { wire.text.hasSuffix("\r\n\r\nhi") }
                    #expect(plugin.desk.heads.first?.headers["expect"] == nil)
                }
            }
            let port = try await SilentPort()
            try await Forwards.forwarding(to: port.base).run { host in
                let wire = try await Wire.connect(host.port)
                wire.send(head)
                await until("answered") { wire.text.hasSuffix("failed") }
                #expect(!wire.text.contains("100 Continue"))
            }
            port.release()
        }

        @Test @Loop func manyRequestsAtATimeHaveEachItsOwnAnswer() async throws {
            try await Forwards.echo().run { plugin in
                try await Forwards.forwarding(to: plugin.base).run { host in
                    let tasks = (0..<200).map { index in
                        Task { try await host.call("POST", "/\(index)", body: Bytes("\(index)".utf8)).text }
                    }
                    for (index, task) in tasks.enumerated() { #expect(try await task.value == "\(index)") }
                    await until("each was told") { host.desk.outcomes.entries.count == 200 }
                    #expect(host.desk.outcomes.entries.allSatisfy { $0 == .answered(status: 200) })
                    try await eventually("nothing is in progress") { await host.server.requests == 0 }
                }
            }
        }
    }
#endif
