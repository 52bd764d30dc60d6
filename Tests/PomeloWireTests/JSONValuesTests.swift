// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON
import Testing

/// Values of Swift in JSON, and JSON as text and as options.
@Suite struct JSONValuesTests {
    private struct Seat: Codable, Equatable {
        var row: Int
        var tags: [String] = []
    }

    private struct Refusing: Encodable {
        struct Why: Error {}
        func encode(to encoder: any Encoder) throws { throw Why() }
    }

    @Test func valuesStandInLiterals() throws {
        let (count, bits, small, wide) = (7, UInt.max, Int8(-3), Int128.max)
        let (ratio, thin, name, flag) = (0.5, Float(0.1), "bob", true)
        let plain: JSON = [
            "count": .init(count), "sum": .init(count + 1), "bits": .init(bits), "small": .init(small),
            "wide": .init(wide), "ratio": .init(ratio), "thin": .init(thin), "name": .init(name), "flag": .init(flag),
            "list": [.init(count), nil, 3, ["deep": .init(ratio)]],
        ]
        #expect(
            plain.description
                == #"{"count":7,"sum":8,"bits":18446744073709551615,"small":-3,"wide":1.7014118346046923e+38,"#
                + #""ratio":0.5,"thin":0.1,"name":"bob","flag":true,"list":[7,null,3,{"deep":0.5}]}"#)
        let seat = Seat(row: 2)
        let any: JSON = try ["seat": .init(seat), "all": .init([seat]), "none": .init(Seat?.none), "n": .init(count)]
        #expect(any.description == #"{"seat":{"row":2,"tags":[]},"all":[{"row":2,"tags":[]}],"none":null,"n":7}"#)
        let object: JSONObject = ["count": .init(count)]
        #expect(object["count"] == 7 && [count].map { JSON($0) } == [7])
    }

    @Test func whatCannotBeWrittenIsAnError() {
        #expect(throws: Refusing.Why.self) { try JSON(Refusing()) }
        #expect(throws: EncodingError.self) { try JSON([Int128.max]) }
    }

    @Test func textWithValuesInItIsALiteral() {
        let name = "bob"
        let body: JSON = ["text": "hello \(name)", "n": "\(7)"]
        #expect(body["text"] == "hello bob" && body["n"] == "7" && body["text"] == "hello \(name)")
    }

    static let texts = [
        #"{"a":[1,null,true,"x\n\"y\""],"b":{"c":1.5}}"#, "[]", "{}", "null", #""é""#, "18446744073709551615",
    ]

    /// Logs and failed expectations show it.
    @Test(arguments: texts) func theDescriptionIsJSONText(_ text: String) throws {
        let json = try JSON.parse(Bytes(text.utf8))
        #expect(json.description == text && "\(json)" == text)
        if let object = json.object { #expect("\(object)" == text) }
    }

    // MARK: defaults

    private struct Rules: Codable, Equatable {
        struct Pause: Codable, Equatable {
            var seconds = 3
            var isLong = false
        }
        var seats = 4
        var title: String? = "hall"
        var motto: String?
        var pauses = ["night": Pause(), "noon": Pause()]
        var colours = ["red", "blue"]
        var pause = Pause()
    }

    private func rules(_ json: JSON, _ defaults: Rules = Rules()) throws -> Rules {
        try JSONCoder.decode(from: json, over: defaults, unknownKeys: .refused)
    }

    @Test func keysMayBeLeftOutAtEveryDepth() throws {
        #expect(try rules([:]) == Rules())
        var base = Rules()
        base.seats = 9
        let changed = try rules(
            [
                "pause": ["isLong": true], "colours": ["green"], "title": nil, "motto": "on",
                "pauses": ["noon": ["seconds": 5], "night": nil],
            ], base)
        #expect(changed.seats == 9 && changed.pause == .init(seconds: 3, isLong: true) && changed.title == nil)
        #expect(changed.colours == ["green"] && changed.motto == "on")
        #expect(changed.pauses == ["noon": .init(seconds: 5)])
    }

    @Test func aWrongKeyIsNamedByItsPath() throws {
        let kind = try #require(throws: DecodingError.self) { try rules(["pause": ["seconds": "3"]]) }
        #expect("\(kind)".contains("seconds"))
        let unknown = try #require(throws: DecodingError.self) { try rules(["pause": ["secnods": 3]]) }
        guard case .dataCorrupted(let context) = unknown else {
            Issue.record("another kind of error")
            return
        }
        #expect(
            context.debugDescription == "unknown key secnods; known are: isLong, seconds"
                && context.codingPath.map(\.stringValue) == ["pause"])
        #expect(throws: DecodingError.self) { try rules(["seats": nil]) }
    }

    private enum Shape: Codable, Equatable {
        case circle(radius: Int)
        case square(side: Int)
    }

    @Test func anotherCaseThanTheDefaultsRemovesIt() throws {
        let round = ["shape": Shape.circle(radius: 1)]
        #expect(
            try JSONCoder.decode(from: ["shape": ["circle": nil, "square": ["side": 2]]], over: round)
                == ["shape": .square(side: 2)])
    }
}
