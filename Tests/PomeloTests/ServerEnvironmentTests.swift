// SPDX-License-Identifier: MIT
import Pomelo
import Testing

/// What a process takes from its environment: an empty variable is none, and a wrong one is named without its value.
@Suite struct ServerEnvironmentTests {
    @Test func whatIsSetCounts() throws {
        let set = try ServerEnvironment([
            "POMELO_SECRET": "s", "POMELO_BIND": "[::1]", "POMELO_HOSTS": "redis=10.0.0.1, chat = fe80::1 ,,",
        ])
        #expect(set.secret == [0x73] && set.bind == "::1")
        #expect(set.hosts == ["redis": "10.0.0.1", "chat": "fe80::1"])
        let empty = try ServerEnvironment(["POMELO_SECRET": "", "POMELO_BIND": "", "POMELO_HOSTS": ""])
        #expect(empty.secret == [] && empty.bind == nil && empty.hosts == [:])
    }

    static let mistakes = [
        ("POMELO_BIND", "10.0.0.1:hidden"), ("POMELO_BIND", " hidden"), ("POMELO_HOSTS", "hidden"),
        ("POMELO_HOSTS", "hidden="), ("POMELO_HOSTS", "=hidden"), ("POMELO_HOSTS", "a=10.0.0.1:80,hidden=1"),
        ("POMELO_HOSTS", "a=b\nc,hidden"),
    ]

    @Test(arguments: mistakes) func aMistakeNamesTheVariable(_ name: String, _ value: String) throws {
        let error = try #require(throws: PomeloError.self) { try ServerEnvironment([name: value]) }
        #expect(error.message.hasPrefix("\(name) must be ") && !error.message.contains("hidden"))
    }
}
