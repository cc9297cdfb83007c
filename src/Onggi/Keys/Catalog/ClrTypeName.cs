namespace Onggi.Keys.Catalog;

/// <summary>A C# type as the catalog writes it: names with their namespace, generic arguments, arrays, <c>?</c>.</summary>
internal sealed class ClrTypeName
{
    private ClrTypeName(string name, IReadOnlyList<ClrTypeName> arguments, string suffix)
    {
        Name = name;
        Arguments = arguments;
        Suffix = suffix;
    }

    /// <summary>The name without arguments, for example <c>System.Collections.Generic.List</c>.</summary>
    public string Name { get; }

    public IReadOnlyList<ClrTypeName> Arguments { get; }

    /// <summary><c>[]</c> and <c>?</c> behind it.</summary>
    public string Suffix { get; }

    public bool IsKeyword => CatalogWords.IsTypeKeyword(Name);

    /// <summary>The type as generated code writes it, so that no name near it can catch it.</summary>
    public string InCode =>
        (IsKeyword ? "" : "global::")
        + Name
        + (Arguments.Count == 0 ? "" : "<" + string.Join(", ", Arguments.Select(a => a.InCode)) + ">")
        + Suffix;

    public static bool TryParse(string text, out ClrTypeName? type)
    {
        var at = 0;
        type = Read(text, ref at, 0);
        return type is not null && at == text.Length;
    }

    private static ClrTypeName? Read(string text, ref int at, int depth)
    {
        if (depth > 8)
            return null;
        var start = at;
        while (at < text.Length && (char.IsLetterOrDigit(text[at]) || text[at] is '_' or '.'))
            at++;
        var name = text.Substring(start, at - start);
        if (
            name.Length == 0
            || !name.Split('.').All(part => CatalogWords.IsIdentifier(part) && (!CatalogWords.IsKeyword(part) || part == name))
            || (CatalogWords.IsKeyword(name) && !CatalogWords.IsTypeKeyword(name))
        )
            return null;
        var arguments = new List<ClrTypeName>();
        if (at < text.Length && text[at] == '<')
        {
            do
            {
                at++;
                while (at < text.Length && text[at] == ' ')
                    at++;
                if (Read(text, ref at, depth + 1) is not { } argument)
                    return null;
                arguments.Add(argument);
            } while (at < text.Length && text[at] == ',');
            if (at == text.Length || text[at] != '>')
                return null;
            at++;
        }

        var suffix = at;
        while (at < text.Length && (text[at] == '?' || (text[at] == '[' && at + 1 < text.Length && text[at + 1] == ']')))
            at += text[at] == '?' ? 1 : 2;
        return new ClrTypeName(name, arguments, text.Substring(suffix, at - suffix));
    }
}
