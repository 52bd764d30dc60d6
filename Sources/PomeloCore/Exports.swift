// SPDX-License-Identifier: MIT
//
// Who imports this room has its words, its files and its crons too.
@_exported public import PomeloConfiguration
@_exported public import PomeloContract
@_exported public import PomeloCron
