# SPDX-License-Identifier: Apache-2.0
"""What a declaration of the public headers looks like and what its documentation says, as rules that a test applies."""

import re

# Said once for all functions, in rstream.h.
CONVENTIONS = {
    "object": "the object that the function is about",
    "data": "handed to the callback as it is",
    "close": "called when the object has ended; may be NULL",
    "error": "receives NULL on success, else an error to be freed with rstream_error_free(); may be NULL",
    "cause": "NULL on success; borrowed for the call",
}
ENDS = re.compile(r"rstream_\w+_(close|free)\(\)")
OWNERSHIP = re.compile(r"\b(borrowed|static storage|free with|freed with|owned)\b", re.IGNORECASE)


def convention(declaration, index):
    """Which convention of rstream.h says what a parameter is: a key of CONVENTIONS, or None when none does."""
    parameter = declaration.parameters[index]
    handle = re.fullmatch(r"(?:const )?(rstream_\w+) \*", parameter.type)
    if parameter.type == "rstream_error **" and declaration.kind == "function":
        return "error"
    if parameter.type == "const rstream_error *" and declaration.kind == "callback":
        return "cause"
    if parameter.name == "data" and parameter.type == "void *":
        return "data"
    if parameter.type == "rstream_close_cb":
        return "close"
    if index == 0 and handle and declaration.kind == "function" and declaration.name.startswith(f"{handle[1]}_"):
        return "object"
    return None


def about_parameters(declaration):
    names = [parameter.name for parameter in declaration.parameters]
    for name in declaration.doc.params.keys() - set(names):
        yield f"documents a parameter {name} that it does not have"
    for index, parameter in enumerate(declaration.parameters):
        said = parameter.name in declaration.doc.params or f"`{parameter.name}`" in declaration.doc.description
        if not said and not convention(declaration, index):
            yield f"does not say what {parameter.name} is: @param {parameter.name}, or `{parameter.name}` in the text"
        if re.fullmatch(r"rstream_(?!error\b)\w+ \*\*", parameter.type) and not ENDS.search(declaration.doc.text):
            yield f"does not say how {parameter.name} is ended or freed"


def about_result(declaration):
    doc = declaration.doc
    if declaration.kind == "callback":
        if declaration.returns != "void":
            yield "is a callback that returns something"
    elif declaration.returns == "void":
        if doc.returns:
            yield "documents a result that it does not have"
    elif not doc.returns:
        yield "does not say what it returns: @return"
    elif declaration.returns.endswith("*"):
        if not OWNERSHIP.search(doc.text):
            yield "does not say who owns the result: borrowed, static storage, or to be freed with what"
        if "NULL" not in doc.returns:
            yield "does not say when the result is NULL, or that it never is"


def about_shape(declaration, structs):
    """What bindings rely on, who are made without looking at each function."""
    parameters = [(parameter.type, parameter.name) for parameter in declaration.parameters]
    if declaration.kind == "callback" and parameters[-1:] != [("void *", "data")]:
        yield "is a callback whose last argument is not void *data"
    for index, (kind, name) in enumerate(parameters):
        following = [parameter for parameter in parameters[index:] if not parameter[0].endswith("_cb")]
        if kind.endswith("_cb") and following[:1] != [("void *", "data")]:
            yield f"takes {name} without void *data after it"
        if kind in structs:
            yield f"takes {name}, a struct, by value"
    if declaration.returns in structs:
        yield "returns a struct by value"


def about_members(declaration):
    for member in declaration.members:
        if not member.doc:
            yield f"has {member.name} without a comment /**< */"
        if declaration.kind == "enum" and not re.fullmatch(r"-?\d+", member.value):
            yield f"has {member.name} without a written value"


def about_names(declaration, functions, codes):
    """What the text refers to has to be there."""
    text = declaration.doc.text + " ".join(member.doc for member in declaration.members)
    for name in set(re.findall(r"\b(rstream_\w+)\(\)", text)) - functions:
        yield f"mentions {name}(), which does not exist"
    for name in set(re.findall(r"\bRSTREAM_E\w+", declaration.doc.returns)) - codes:
        yield f"returns {name}, which does not exist"


def complaints(headers):
    """What is missing in the documentation, one line each; none when all is said."""
    declarations = [declaration for header in headers for declaration in header.declarations]
    functions = {one.name for one in declarations if one.kind == "function"}
    structs = {one.name for one in declarations if one.kind in ("handle", "struct")}
    codes = {member.name for one in declarations if one.kind == "enum" for member in one.members}
    for header in headers:
        if not header.doc.text.strip():
            yield f"{header.path} says nothing but its title"
        for declaration in header.declarations:
            found = []
            if not declaration.doc.blocks:
                found.append("has no documentation comment")
            if declaration.kind in ("function", "callback"):
                found += [*about_parameters(declaration), *about_result(declaration)]
                found += about_shape(declaration, structs)
            found += [*about_members(declaration), *about_names(declaration, functions, codes)]
            yield from (f"{header.path}: {declaration.name} {what}" for what in found)
