// SPDX-License-Identifier: MIT
import Foundation
import PomeloLoop
import TestHelpers
import Testing

@testable import PomeloSupervision

@Suite struct ProcessLogTests {
    @Test @Loop func onlyWholeLinesThatAreNew() throws {
        let folder = try Folder()
        let log = ProcessLog("\(folder.path)/a.log")
        #expect(log.newLines() == [])
        try folder.append("old\n", to: "a.log")
        log.begin()
        #expect(log.newLines() == [])
        try folder.append("one\ntwo\nthr", to: "a.log")
        #expect(log.newLines() == ["one", "two"])
        try folder.append("ee\n\n", to: "a.log")
        #expect(log.newLines() == ["three", ""])
        #expect(log.lastLines(3) == ["two", "three", ""])
    }

    /// What is read at once is bounded, and nothing is lost by it.
    @Test @Loop func aFloodOfLines() throws {
        let folder = try Folder()
        let log = ProcessLog("\(folder.path)/a.log")
        let lines = (0..<20_000).map { "line \($0)" }
        try folder.append(lines.map { $0 + "\n" }.joined(), to: "a.log")
        var read: [String] = []
        while read.count < lines.count {
            let more = log.newLines()
            guard !more.isEmpty else { break }
            #expect(more.reduce(0) { $0 + $1.utf8.count } <= 2 * 65_536)
            read += more
        }
        #expect(read == lines)
        #expect(log.lastLines(2) == ["line 19998", "line 19999"])
    }

    @Test @Loop func aLineWithoutEndTakesNoMemory() throws {
        let folder = try Folder()
        let log = ProcessLog("\(folder.path)/a.log")
        try folder.append(String(repeating: "x", count: 300_000) + "\nup a\n", to: "a.log")
        var read: [String] = []
        for _ in 0..<10 { read += log.newLines() }
        #expect(read.last == "up a")
        #expect(read.allSatisfy { $0.utf8.count <= 2 * 65_536 })
    }

    @Test @Loop func aLongOneIsPutAside() throws {
        let folder = try Folder()
        let log = ProcessLog("\(folder.path)/a.log")
        try folder.append(String(repeating: "x", count: 17 << 20), to: "a.log")
        log.begin()
        try folder.append("new\n", to: "a.log")
        #expect(log.newLines() == ["new"])
        #expect(FileManager.default.fileExists(atPath: "\(folder.path)/a.log.1"))
    }

    /// The process itself does so, while somebody waits for what it says.
    @Test @Loop func putAsideMeanwhile() throws {
        let folder = try Folder()
        let log = ProcessLog("\(folder.path)/a.log")
        try folder.append("one\ntwo\n", to: "a.log")
        #expect(log.newLines() == ["one", "two"])
        #expect(Files.putAside(log.path))
        #expect(log.newLines() == [])
        try folder.append("three\n", to: "a.log")
        #expect(log.newLines() == ["three"])
    }

    /// What counts is what a link leads to.
    @Test @Loop func aLinkIsRead() throws {
        let folder = try Folder()
        try folder.append("one\n", to: "elsewhere")
        try FileManager.default.createSymbolicLink(
            atPath: "\(folder.path)/a.log", withDestinationPath: "\(folder.path)/elsewhere")
        let log = ProcessLog("\(folder.path)/a.log")
        log.begin()
        try folder.append("up a\n", to: "elsewhere")
        #expect(log.newLines() == ["up a"] && log.lastLines(1) == ["up a"])
    }

    @Test @Loop func fiveAreKept() throws {
        let folder = try Folder()
        let path = "\(folder.path)/a.log"
        #expect(!Files.putAside(path))
        for number in 1...7 {
            try folder.append("\(number)", to: "a.log")
            #expect(Files.putAside(path))
        }
        let kept = (1...6).map { folder.text("a.log.\($0)") }
        #expect(kept == ["7", "6", "5", "4", "3", ""])
    }
}
