"""A MongoDB of one collection in memory: atomic updates of single documents, two unique indexes.

Only the operators that data-model.md 8.4 uses; any other raises. Documents are never changed in place, so a
read is a snapshot that costs nothing."""

UNIQUE = ("callLogId", "telnyx.callControlId")  # the second one sparse: absent is no value


class DuplicateKey(Exception):
    """E11000; `index` names the path."""

    def __init__(self, index):
        super().__init__(index)
        self.index = index


def get(document, path, default=None):
    value = document
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            return default
        value = value[key]
    return value


def _changed(document, keys, change):
    """A copy with one path changed: `change` gets the object that holds the last key, copied."""
    copy = dict(document)
    if len(keys) == 1:
        change(copy, keys[0])
    else:
        copy[keys[0]] = _changed(copy.get(keys[0], {}), keys[1:], change)
    return copy


def with_path(document, path, value):
    return _changed(document, path.split("."), lambda holder, key: holder.__setitem__(key, value))


def without_path(document, path):
    if get(document, path, UNIQUE) is UNIQUE:
        return document
    return _changed(document, path.split("."), lambda holder, key: holder.pop(key))


def _values(document, path):
    """The values a filter sees under a path: ids of array elements for `array._id`."""
    head, _, last = path.rpartition(".")
    holder = get(document, head) if head else document
    if isinstance(holder, list):
        return [element.get(last) for element in holder]
    value = get(document, path)
    return [] if value is None else [value]


def _holds(document, path, condition):
    values = _values(document, path)
    if not isinstance(condition, dict):
        return condition in values
    (operator, operand), = condition.items()
    if operator == "$ne":
        return operand not in values
    if operator == "$exists":
        return bool(values) == operand
    if operator == "$not" and operand.keys() == {"$gte"}:
        return not any(value >= operand["$gte"] for value in values)
    raise ValueError(f"no such filter here: {condition}")


def matches(document, query):
    return all(_holds(document, path, condition) for path, condition in query.items())


def _push(array, operand):
    elements = array + operand["$each"]
    if "$sort" in operand:
        elements.sort(key=lambda element: tuple(element[key] for key in operand["$sort"]))
    return elements


def _pull(array, operand):
    if isinstance(operand, dict):
        return [element for element in array if not all(element.get(k) == v for k, v in operand.items())]
    return [element for element in array if element != operand]


ARRAY_OPERATORS = {"$push": _push, "$pull": _pull,
                   "$addToSet": lambda array, operand: array if operand in array else array + [operand]}


def updated(document, update, inserting=False):
    for operator, paths in update.items():
        for path, operand in paths.items():
            if operator == "$set" or (operator == "$setOnInsert" and inserting):
                document = with_path(document, path, operand)
            elif operator == "$unset":
                document = without_path(document, path)
            elif operator in ARRAY_OPERATORS:
                document = with_path(document, path, ARRAY_OPERATORS[operator](get(document, path, []), operand))
            elif operator != "$setOnInsert":
                raise ValueError(f"no such operator here: {operator}")
    return document


class TinyMongo:
    """`update` and `insert` are one atomic step each. An upsert that matches nothing is two, as in a server
    where a second writer may come between its look and its insert: so callers do it in two steps."""

    def __init__(self):
        self.documents = []

    def _check_unique(self, document, but=None):
        for index in UNIQUE:
            value = get(document, index)
            if value is not None and any(get(d, index) == value for d in self.documents if d is not but):
                raise DuplicateKey(index)

    def find(self, query):
        return next((d for d in self.documents if matches(d, query)), None)

    def update(self, query, update):
        """True when a document matched."""
        for place, document in enumerate(self.documents):
            if matches(document, query):
                new = updated(document, update)
                self._check_unique(new, but=document)
                self.documents[place] = new
                return True
        return False

    def insert(self, query, update):
        """The second half of an upsert: equalities of the query, then the update."""
        document = {}
        for path, condition in query.items():
            if not isinstance(condition, dict):
                document = with_path(document, path, condition)
        document = updated(document, update, inserting=True)
        self._check_unique(document)
        self.documents.append(document)
        return True
