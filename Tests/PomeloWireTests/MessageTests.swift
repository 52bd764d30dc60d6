// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire
import Testing

struct MessageVector: CustomTestStringConvertible, Sendable {
    let name: String
    let wire: String
    let kind: MessageKind
    var id: UInt32 = 0
    var route = ""
    var code: UInt16?
    var body = #"{"a":1}"#
    var compressed = false
    var testDescription: String { name }

    private static let json = "7b 22 61 22 3a 31 7d"

    static let all = [
        MessageVector(
            name: "request id 1",
            wire: "00 01 1c 63 6f 6e 6e 65 63 74 6f 72 2e 65 6e 74 72 79 48 61 6e 64 6c 65 72"
                + "2e 65 6e 74 72 79 \(json)",
            kind: .request, id: 1, route: "connector.entryHandler.entry"),
        MessageVector(
            name: "request id 128", wire: "00 80 01 05 61 2e 62 2e 63 \(json)", kind: .request, id: 128,
            route: "a.b.c"),
        MessageVector(name: "request code", wire: "01 ac 02 00 01 \(json)", kind: .request, id: 300, code: 1),
        MessageVector(name: "notify", wire: "02 05 61 2e 62 2e 63 \(json)", kind: .notify, route: "a.b.c"),
        MessageVector(name: "notify code", wire: "03 01 02 \(json)", kind: .notify, code: 258),
        MessageVector(
            name: "response", wire: "04 01 7b 22 63 6f 64 65 22 3a 32 30 30 7d", kind: .response, id: 1,
            body: #"{"code":200}"#),
        MessageVector(name: "response id 127", wire: "04 7f 7b 7d", kind: .response, id: 127, body: "{}"),
        MessageVector(
            name: "response id 16384", wire: "04 80 80 01 7b 7d", kind: .response, id: 16384, body: "{}"),
        MessageVector(
            name: "response largest id", wire: "04 ff ff ff ff 07 7b 7d", kind: .response,
            id: 2_147_483_647, body: "{}"),
        MessageVector(name: "response without body", wire: "04 07", kind: .response, id: 7, body: ""),
        MessageVector(name: "response id 0", wire: "04 00", kind: .response, id: 0, body: ""),
        MessageVector(name: "push", wire: "06 06 6f 6e 4d 6f 76 65 \(json)", kind: .push, route: "onMove"),
        MessageVector(name: "push of a client", wire: "06 01 61 7b 7d", kind: .push, route: "a", body: "{}"),
        MessageVector(name: "push code", wire: "07 ff ff \(json)", kind: .push, code: 65535),
        MessageVector(name: "push with an empty route", wire: "06 00 \(json)", kind: .push),
        MessageVector(
            name: "compressed push", wire: "16 06 6f 6e 4d 6f 76 65 \(json)", kind: .push, route: "onMove",
            compressed: true),
        MessageVector(
            name: "compressed request", wire: "11 05 00 02 \(json)", kind: .request, id: 5, code: 2,
            compressed: true),
    ]
    static let encodable = all.filter { !$0.compressed }
}

@Suite("Messages")
struct MessageTests {
    @Test("read the original's bytes", arguments: MessageVector.all)
    func decode(_ vector: MessageVector) throws {
        let bytes = hex(vector.wire)
        let head = try MessageHead.decode(bytes.span)
        #expect(head.kind == vector.kind)
        #expect(head.id == vector.id)
        #expect(head.routeCode == vector.code)
        #expect(try head.route(in: bytes.span) == vector.route)
        #expect(text(head.body(in: bytes.span)) == vector.body)
        #expect(head.compressedBody == vector.compressed)
    }

    @Test("write the original's bytes, alone and in a package", arguments: MessageVector.encodable)
    func encode(_ vector: MessageVector) throws {
        let body = utf8(vector.body)
        let (message, packet): (Bytes, Bytes)
        switch vector.kind {
        case .request:
            message = try Message.request(id: vector.id, route: vector.route, code: vector.code, body: body)
            packet = try Message.requestPacket(
                id: vector.id, route: vector.route, code: vector.code, body: body)
        case .notify:
            message = try Message.notify(route: vector.route, code: vector.code, body: body)
            packet = try Message.notifyPacket(route: vector.route, code: vector.code, body: body)
        case .response:
            message = try Message.response(id: vector.id, body: body)
            packet = try Message.responsePacket(id: vector.id, body: body)
        case .push:
            message = try Message.push(route: vector.route, code: vector.code, body: body)
            packet = try Message.pushPacket(route: vector.route, code: vector.code, body: body)
        }
        #expect(message == hex(vector.wire))
        #expect(packet == (try Packet.encode(.data, hex(vector.wire))))
    }

    @Test func wholePackages() throws {
        let request = try Message.requestPacket(id: 1, route: "a.b.c", body: utf8("{}"))
        #expect(request == hex("04 00 00 0a 00 01 05 61 2e 62 2e 63 7b 7d"))
        let answer = try Message.responsePacket(id: 1, body: utf8(#"{"code":500}"#))
        #expect(answer == hex("04 00 00 0e 04 01 7b 22 63 6f 64 65 22 3a 35 30 30 7d"))
        let push = try Message.pushPacket(route: "onMove", body: utf8("{}"))
        #expect(push == hex("04 00 00 0a 06 06 6f 6e 4d 6f 76 65 7b 7d"))
    }

    @Test(
        "ids are base 128, least significant first",
        arguments: [
            (0, "00"), (1, "01"), (127, "7f"), (128, "80 01"), (300, "ac 02"), (16383, "ff 7f"),
            (16384, "80 80 01"), (2_097_151, "ff ff 7f"), (2_097_152, "80 80 80 01"),
            (268_435_455, "ff ff ff 7f"), (268_435_456, "80 80 80 80 01"), (2_147_483_647, "ff ff ff ff 07"),
        ] as [(UInt32, String)])
    func varint(id: UInt32, wire: String) throws {
        #expect(try Message.response(id: id, body: []) == hex("04") + hex(wire))
        #expect(try MessageHead.decode((hex("04") + hex(wire)).span).id == id)
    }

    @Test(
        "refuses what makes the original fail or hang",
        arguments: [
            "", "00", "00 01", "00 01 05 61", "01 01 00", "01 01", "02", "02 05 61", "03", "03 01", "04",
            "06", "00 80", "00 80 80 80 80", "00 80 80 80 80 08 00", "00 ff ff ff ff 0f 01 61",
            "00 80 80 80 80 80 01 00", "04 80 80 80",
        ])
    func malformed(_ wire: String) {
        let bytes = hex(wire)
        let error = wireError { () throws(WireError) in _ = try MessageHead.decode(bytes.span) }
        #expect(error?.isLike(.malformed("")) == true)
    }

    @Test(arguments: ["08 01 61", "0a 01 61", "0c 01 61", "0e 01 61"])
    func unknownKinds(_ wire: String) {
        let bytes = hex(wire)
        let error = wireError { () throws(WireError) in _ = try MessageHead.decode(bytes.span) }
        #expect(error == .unsupported("message kind"))
    }

    @Test func highFlagBitsAreIgnored() throws {
        let bytes = hex("42 01 61 7b 7d")
        let head = try MessageHead.decode(bytes.span)
        #expect(head.kind == .notify)
        #expect(try head.route(in: bytes.span) == "a")
    }

    @Test func aRouteMustBeUTF8() throws {
        let bytes = hex("02 01 ff")
        let head = try MessageHead.decode(bytes.span)
        let error = wireError { () throws(WireError) in _ = try head.route(in: bytes.span) }
        #expect(error?.isLike(.malformed("")) == true)
    }

    @Test func refusesWhatDoesNotFit() {
        let long = String(repeating: "a", count: 256)
        #expect(
            wireError { () throws(WireError) in _ = try Message.push(route: long, body: []) }
                == .tooLarge(limit: 255))
        #expect(
            wireError { () throws(WireError) in _ = try Message.push(route: long, code: 1, body: []) } == nil)
        #expect(
            wireError { () throws(WireError) in _ = try Message.request(id: 1 << 31, route: "", body: []) }
                == .tooLarge(limit: 0x7FFF_FFFF))
        let body = Bytes(repeating: 0, count: Packet.maxBodyLength - 1)
        #expect(
            wireError { () throws(WireError) in _ = try Message.responsePacket(id: 1, body: body) }
                == .tooLarge(limit: 0xFF_FFFF))
        #expect(
            wireError { () throws(WireError) in
                _ = try Message.responsePacket(id: 1, body: Bytes(body.dropLast()))
            }
                == nil)
    }

    @Test func everyCutOfAMessageIsReadOrRefused() {
        for vector in MessageVector.all {
            let bytes = hex(vector.wire)
            for end in 0..<bytes.count {
                let cut = Bytes(bytes[..<end])
                do throws(WireError) {
                    let head = try MessageHead.decode(cut.span)
                    #expect(head.bodyStart <= cut.count)
                } catch {
                    #expect(error.isLike(.malformed("")))
                }
            }
        }
    }
}
