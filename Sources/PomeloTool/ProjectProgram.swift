// SPDX-License-Identifier: MIT
import Foundation
import PomeloLoop
import PomeloUV

/// The program of the project in the current folder, which has every command but `init`.
enum ProjectProgram {
    /// Becomes the program, with the words as they are; ends with 1 when there is none.
    @Loop static func run(_ words: inout [String]) async {
        do {
            let path = try await path(&words)
            try ThisProcess.become(path, words)
        } catch let error as ProjectError {
            FileHandle.standardError.write(Data("error: \(error.text)\n".utf8))
        } catch {
            FileHandle.standardError.write(Data("error: \(error)\n".utf8))
        }
        exit(1)
    }

    /// What `--program` names, before the verb; or the one program that the package in this folder has built.
    ///
    /// - Throws: `ProjectError` naming what is missing.
    @Loop static func path(_ words: inout [String]) async throws -> String {
        if words.first == "--program" {
            guard words.count > 1 else { throw ProjectError(text: "--program takes the path of a program") }
            let path = words[1]
            words.removeFirst(2)
            guard FileManager.default.isExecutableFile(atPath: path) else {
                throw ProjectError(text: "--program: there is no program \(path)")
            }
            return path
        }
        guard FileManager.default.fileExists(atPath: "Package.swift") else {
            throw ProjectError(text: "there is no Package.swift in this folder: go to a project, or name its --program")
        }
        let names = try await executables()
        guard let name = names.first, names.count == 1 else {
            let list = names.isEmpty ? "none" : names.joined(separator: ", ")
            throw ProjectError(text: "the package has not one program but \(list): name it by --program <path>")
        }
        for build in ["release", "debug"] where FileManager.default.isExecutableFile(atPath: ".build/\(build)/\(name)")
        {
            return ".build/\(build)/\(name)"
        }
        throw ProjectError(text: "\(name) is not built: swift build")
    }

    @Loop private static func executables() async throws -> [String] {
        let words = ["package", "describe", "--type", "json"]
        let (ending, lines) = try await ChildProcess.run(.init("swift", words))
        // Notes of the package manager may come before.
        let text = lines.drop { !$0.hasPrefix("{") }.joined(separator: "\n")
        guard ending == .exited(0), let package = Description(text) else {
            throw ProjectError(text: "swift package describe: \(lines.suffix(3).joined(separator: "; "))")
        }
        return package.targets.filter { $0.type == "executable" }.map(\.name)
    }

    private struct Description: Decodable {
        struct Target: Decodable {
            let name: String
            let type: String
        }

        let targets: [Target]

        init?(_ text: String) {
            do {
                self = try JSONDecoder().decode(Description.self, from: Data(text.utf8))
            } catch {
                return nil
            }
        }
    }
}
