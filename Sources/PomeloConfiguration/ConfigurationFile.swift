// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloContract
import PomeloJSON

/// One file of a configuration folder, and the part of it that counts for an environment.
struct ConfigurationFile {
    let folder: String
    let env: String
    let name: String
    /// A longer one is refused unread.
    var maxBytes = Int.max

    /// For all environments, with or without sections.
    private var shared: String { "\(folder)/\(name).json" }
    /// For this environment alone.
    private var own: String { "\(folder)/\(env)/\(name).json" }

    var exists: Bool { [shared, own].contains { FileManager.default.fileExists(atPath: $0) } }

    struct Part {
        let value: JSON
        let path: String
        /// The sections of other environments, in a file that was taken whole although it has some; sorted.
        var others: [String] = []
    }

    /// The environment's section, or all of a file that has none.
    ///
    /// - Throws: `PomeloError` `.configuration`.
    func whole() throws -> Part {
        guard !name.contains("/") else {
            let place = "in the folder \(folder), or in \(folder)/\(env)"
            throw PomeloError(.configuration, "\"\(name)\" is a path: give the name of a file \(place)")
        }
        if FileManager.default.fileExists(atPath: shared) {
            let document = try parse(shared)
            if let section = document[env], section.isTruthy { return Part(value: section, path: shared) }
            return Part(value: document, path: shared, others: Self.sections(of: document))
        }
        if FileManager.default.fileExists(atPath: own) { return Part(value: try parse(own), path: own) }
        if !folder.isEmpty, !FileManager.default.fileExists(atPath: folder) {
            let here = folder.hasPrefix("/") ? "" : " in \(FileManager.default.currentDirectoryPath)"
            let remedy = "--config or POMELO_CONFIG names another"
            throw PomeloError(.configuration, "there is no configuration folder \(folder)\(here); \(remedy)")
        }
        let others = environments
        let there = others.isEmpty ? "" : "; there are folders for: \(others.joined(separator: ", "))"
        throw PomeloError(.configuration, "there is no configuration file \(shared), nor \(own)\(there)")
    }

    /// The same; a file with sections must have the environment's.
    ///
    /// - Throws: `PomeloError` `.configuration`, naming the sections there are.
    func section() throws -> Part {
        let part = try whole()
        if part.others.isEmpty { return part }
        let there = part.others.joined(separator: ", ")
        throw PomeloError(.configuration, "\(part.path) has no section \"\(env)\"; it has: \(there)")
    }

    /// The same, or nil when a file with sections has not the environment's.
    ///
    /// - Throws: `PomeloError` `.configuration`.
    func sectionIfAny() throws -> Part? {
        let part = try whole()
        return part.others.isEmpty ? part : nil
    }

    /// Checks that an environment is one of those that some of the files have, where they have any.
    ///
    /// - Throws: `PomeloError` `.configuration`, naming all there are.
    static func check(_ env: String, of names: [String], in folder: String) throws {
        let known = names.flatMap { ConfigurationFile(folder: folder, env: env, name: $0).sectionsAndFolders }
        guard !known.isEmpty, !known.contains(env) else { return }
        let list = Set(known).sorted().joined(separator: ", ")
        throw PomeloError(.configuration, "there is no environment \"\(env)\" in the folder \(folder); it has: \(list)")
    }

    /// No file of the framework's own consists of objects only, so one that does has sections.
    private static func sections(of document: JSON) -> [String] {
        guard let fields = document.object, fields.values.allSatisfy({ $0.object != nil }) else { return [] }
        return fields.keys.sorted()
    }

    /// What is there of it, for all environments and for this one.
    var marks: [FileMark?] { [shared, own].map { FileMark($0) } }

    /// The environments that have a file of this name in their own folder; sorted.
    private var environments: [String] {
        Self.entries(of: folder).filter { FileManager.default.fileExists(atPath: "\(folder)/\($0)/\(name).json") }
            .sorted()
    }

    /// The environments that a file of sections has, in whatever form.
    var sectionsAndFolders: [String] {
        guard FileManager.default.fileExists(atPath: shared) else { return environments }
        do {
            return Self.sections(of: try parse(shared))
        } catch {
            // What is wrong with the file is said by who needs it.
            return []
        }
    }

    /// The files whose keys variables may be: the framework's, and the application's that are there.
    static func names(folder: String, env: String) -> [String] {
        let own: Set = ["cluster", "connector", "globalChannel", "limits", "master", "redis", "rpc", "status"]
        let there = folder.isEmpty ? [] : entries(of: folder) + entries(of: "\(folder)/\(env)")
        let files = there.filter { $0.hasSuffix(".json") }.map(Configuration.plain)
        return own.union(files).subtracting(lists).sorted()
    }

    /// Files whose entries have no names, and so no variables.
    static let lists = ["servers", "crons", "adminUser", "masterha", "serverProtos", "clientProtos"]

    private static func entries(of folder: String) -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder)
        } catch {
            // No folder, no files: what is missing is said by who reads it.
            return []
        }
    }

    private func parse(_ path: String) throws -> JSON {
        if let mark = FileMark(path), mark.bytes > maxBytes {
            throw PomeloError(.configuration, "\(path) has \(mark.bytes) bytes; \(maxBytes) are allowed")
        }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw PomeloError(.configuration, "\(path) cannot be read")
        }
        // Editors of some systems begin a file with a byte order mark, which is not part of the text.
        let mark: Bytes = [0xEF, 0xBB, 0xBF]
        let bytes = data.starts(with: mark) ? Bytes(data.dropFirst(mark.count)) : Bytes(data)
        do {
            return try JSON.parse(bytes)
        } catch {
            let place = JSON.fault(in: bytes) ?? "\(error)"
            throw PomeloError(.configuration, "\(path) is not JSON: \(place)", cause: error)
        }
    }
}
