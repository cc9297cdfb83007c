using System.Net;
using System.Text;

namespace Onggi.Cli.Output;

/// <summary>One page that needs nothing beside itself: to be sent, kept as evidence, or printed.</summary>
internal sealed class HtmlReport(string title, string subtitle)
{
    private readonly StringBuilder _body = new();

    /// <summary>A heading and the rows below it.</summary>
    public HtmlReport Section(string heading, string? lead = null)
    {
        _body.Append("<h2>").Append(Text(heading)).Append("</h2>\n");
        if (lead is not null)
            _body.Append("<p>").Append(Text(lead)).Append("</p>\n");
        return this;
    }

    /// <summary>Numbers that are read first.</summary>
    public HtmlReport Figures(params (string Name, string Value)[] figures)
    {
        _body.Append("<dl>\n");
        foreach (var (name, value) in figures)
            _body.Append("<div><dt>").Append(Text(name)).Append("</dt><dd>").Append(Text(value)).Append("</dd></div>\n");
        _body.Append("</dl>\n");
        return this;
    }

    /// <summary>A table. A cell that begins with one of the words ok, finding, skipped, failed in its first column is coloured by it.</summary>
    public HtmlReport Table(IReadOnlyList<string> columns, IEnumerable<IReadOnlyList<string>> rows)
    {
        _body.Append("<table>\n<thead><tr>");
        foreach (var column in columns)
            _body.Append("<th>").Append(Text(column)).Append("</th>");
        _body.Append("</tr></thead>\n<tbody>\n");
        foreach (var row in rows)
        {
            _body.Append("<tr class=\"").Append(Text(row.Count > 0 ? row[0].Split(' ')[0] : "")).Append("\">");
            foreach (var cell in row)
                _body.Append("<td>").Append(Text(cell).Replace("\n", "<br>", StringComparison.Ordinal)).Append("</td>");
            _body.Append("</tr>\n");
        }

        _body.Append("</tbody>\n</table>\n");
        return this;
    }

    public override string ToString() =>
        $$"""
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>{{Text(title)}}</title>
            <style>
            :root { color-scheme: light dark; --line: #8884; --ok: #1a7f37; --bad: #cf222e; --dim: #6e7781; }
            body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
            h1 { margin-bottom: 0; } h1 + p { color: var(--dim); margin-top: .2rem; }
            h2 { margin-top: 2rem; }
            dl { display: flex; flex-wrap: wrap; gap: 1rem; } dl div { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem 1rem; }
            dt { color: var(--dim); font-size: .85em; } dd { font-size: 1.4em; margin: 0; }
            table { border-collapse: collapse; width: 100%; } th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
            tr.ok td:first-child { color: var(--ok); } tr.finding td:first-child, tr.failed td:first-child { color: var(--bad); font-weight: 600; } tr.skipped td { color: var(--dim); }
            </style>
            </head>
            <body>
            <h1>{{Text(title)}}</h1>
            <p>{{Text(subtitle)}}</p>
            {{_body}}
            </body>
            </html>

            """;

    private static string Text(string text) => WebUtility.HtmlEncode(text);
}
