// SPDX-License-Identifier: MIT
import Foundation
import PomeloCore
import PomeloJSON
import PomeloTesting
import Testing

/// What people get wrong in files, and what they are told.
@Suite struct ConfigurationFileTests {
    private static let master = #"{"development":{"id":"m","port":3005}}"#

    private func message(_ files: [String: String], env: String = "development") throws -> String {
        try withFolder(files) { folder in
            let error = try #require(throws: PomeloError.self) { try Configuration(folder: folder, env: env) }
            #expect(error.code == .configuration)
            return error.message.replacing(folder, with: "config")
        }
    }

    @Test func aByteOrderMarkIsSkipped() throws {
        let servers = "\u{FEFF}" + #"{"development":{"chat":[{"id":"a","port":1}]}}"#
        try withFolder(["servers.json": servers, "master.json": Self.master]) { folder in
            let configuration = try Configuration(folder: folder, env: "development")
            #expect(configuration.servers.map(\.id) == ["a", "m"])
        }
    }

    static let faults = [
        ("{\"development\":{\n  \"chat\":[{\"id\":\"a\"\n   \"port\":1}]}}", "line 3, column 4: expected , or }"),
        ("{\"development\":{\"chat\":[1 2]}}", "line 1, column 27: expected , or ]"),
        ("\u{FEFF}{,}", "line 1, column 2: expected a key"),
        ("{\"房间\":1,}", "line 1, column 9: expected a key"),
        ("{\r\n\"a\":\r\n", "line 3, column 1: cut short"),
        ("", "line 1, column 1: cut short"),
        ("{} x", "line 1, column 4: text after the value"),
    ]

    @Test(arguments: faults) func aSyntaxErrorHasFileLineAndColumn(_ text: String, _ place: String) throws {
        #expect(
            try message(["servers.json": text, "master.json": Self.master])
                == "config/servers.json is not JSON: \(place)")
    }

    @Test func anUnknownEnvironmentIsNamedWithThoseThereAre() throws {
        let master = #"{"development":{"id":"m","port":1},"production":{"id":"m","port":1}}"#
        let servers = #"{"development":{},"test":{"chat":[]}}"#
        let all = "development, production, test"
        let unknown = #"there is no environment "developement" in the folder config; it has: "#
        #expect(try message(["master.json": master, "servers.json": servers], env: "developement") == unknown + all)
        // Not of the files that have a section of it, or none at all.
        let folders = ["development/master.json": "{}", "production/master.json": "{}", "test/servers.json": "{}"]
        #expect(try message(folders, env: "developement") == unknown + all)
        #expect(
            try message(["master.json": "{}", "servers.json": servers], env: "developement")
                == unknown + "development, test")
        #expect(
            try message(["master.json": master, "servers.json": servers], env: "production")
                == #"config/servers.json has no section "production"; it has: development, test"#)
        #expect(
            try message(folders, env: "test")
                == "there is no configuration file config/master.json, nor config/test/master.json; "
                + "there are folders for: development, production")
        #expect(
            try message(["master.json": Self.master, "servers.json": #"{"production":{"chat":[]}}"#])
                == #"config/servers.json has no section "development"; it has: production"#)
    }

    /// A file of the application's own may consist of anything.
    @Test func aFileOfTheApplicationIsReadWholeWithoutASection() throws {
        let files = ["rooms.json": #"{"a":{"size":1},"b":{"size":2}}"#]
        try withFolder(files) { folder in
            let configuration = Configuration(servers: [], folder: folder)
            let rooms = try configuration.section("rooms")
            #expect(rooms["b"]?["size"] == 2)
            #expect(throws: PomeloError.self) { try configuration.options("rooms") }
        }
    }

    @Test func aHostInBracketsIsAnAddress() throws {
        let servers = #"{"development":{"chat":[{"id":"a","port":1,"host":"[::1]","bind":"[fe80::1%eth0]"}]}}"#
        try withFolder(["servers.json": servers, "master.json": Self.master]) { folder in
            let record = try Configuration(folder: folder, env: "development").record("a")
            #expect(record.host == "::1" && record.bind == "fe80::1%eth0")
        }
    }

    @Test(arguments: ["10.0.0.1:80", "[::1]:80", "[::1", "::1]", "[a]", "", "a b", "a/b", "user@host"])
    func aHostThatCannotBeOneIsRefused(_ host: String) throws {
        let servers = #"{"development":{"chat":[{"id":"a","port":1,"host":"\#(host)"}]}}"#
        #expect(
            try message(["servers.json": servers, "master.json": Self.master])
                == "config/servers.json: chat[0] (a): host must be a host name or address, without a port")
    }

    @Test func aShorthandThatCountsBeyondAllNumbersIsAnError() throws {
        let chat = #"{"clusterCount":2,"port":"9223372036854775807++"}"#
        #expect(
            try message(["servers.json": #"{"development":{"chat":[\#(chat)]}}"#, "master.json": Self.master])
                == "config/servers.json: chat[0]: port counts beyond the largest number")
    }

    // MARK: options

    struct Options: FileOptions, Equatable {
        enum Colour: String, CaseIterable { case red, green }

        static let fileName = "rooms"
        var size = 10
        var pause = Duration.seconds(1)
        var colour = Colour.red

        mutating func read(_ reader: inout OptionReader) throws {
            size = try reader.int("size", in: 1...100) ?? size
            pause = try reader.seconds("pauseSeconds", orZero: true) ?? pause
            colour = try reader.choice("colour") ?? colour
        }
    }

    private func options(_ text: String?, _ base: Options = Options()) throws -> Options {
        try withFolder(text.map { ["rooms.json": $0] } ?? [:]) { folder in
            try Configuration(servers: [], folder: folder).options(base)
        }
    }

    @Test func whatAFileSaysStandsAboveTheProgram() throws {
        var base = Options()
        base.size = 20
        base.colour = .green
        #expect(try options(nil, base) == base)
        #expect(try options(#"{"production":{"size":5}}"#, base) == base)
        let changed = try options(#"{"development":{"size":5,"pauseSeconds":0},"production":{}}"#, base)
        #expect(changed.size == 5 && changed.pause == .zero && changed.colour == .green)
        #expect(try options(#"{"size":6}"#).size == 6)
        #expect(try Configuration(servers: []).options(base) == base)
    }

    static let mistakes = [
        (#"{"siez":5}"#, "config/rooms.json: unknown key siez; known are: size, pauseSeconds, colour"),
        (#"{"size":101}"#, "config/rooms.json: size must be a whole number from 1 to 100"),
        (#"{"colour":"blue"}"#, #"config/rooms.json: colour must be "red" or "green""#),
        (
            #"{"pauseSeconds":1e300}"#,
            "config/rooms.json: pauseSeconds must be a number of seconds from 0.001 to 1000000000, or 0"
        ),
        ("[]", "config/rooms.json must hold an object"),
    ]

    @Test(arguments: mistakes) func aMistakeInAnOptionFileIsNamed(_ text: String, _ says: String) throws {
        try withFolder(["rooms.json": text]) { folder in
            let error = try #require(throws: PomeloError.self) {
                try Configuration(servers: [], folder: folder).options(Options())
            }
            #expect(error.message.replacing(folder, with: "config") == says)
        }
    }
}
