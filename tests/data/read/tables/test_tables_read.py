"""Files become tables without a cell being changed; what is no table is refused in one line that names it."""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

from longtail.data.read.tables.read import read_table  # noqa: E402
from longtail.data.read.tables.sources import is_table  # noqa: E402


def write(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


class TestCells:
    def test_every_cell_of_a_text_file_is_what_stands_there(self, tmp_path: Path) -> None:
        text = 'a,b,c,d\n007,9007199254740993,NA,"x, ""y"""\n1.50,-0,nan,"two\nlines"\n,1e5, None ,=1+1\n'
        frame = read_table(write(tmp_path, text)).frame
        assert frame.to_dict("list") == {
            "a": ["007", "1.50", ""],
            "b": ["9007199254740993", "-0", "1e5"],
            "c": ["NA", "nan", " None "],
            "d": ['x, "y"', "two\nlines", "=1+1"],
        }

    def test_integers_with_gaps_in_parquet_keep_their_digits(self, tmp_path: Path) -> None:
        path = tmp_path / "t.parquet"
        pd.DataFrame({"i": pd.array([2**53 + 1, None], dtype="Int64"), "y": ["a", "b"]}).to_parquet(path)
        assert read_table(path).frame["i"].tolist() == [2**53 + 1, None]

    def test_windows_lines_and_empty_lines_are_no_rows(self, tmp_path: Path) -> None:
        frame = read_table(write(tmp_path, "a,y\r\n1,x\r\n\r\n2,z\r\n\n")).frame
        assert frame.to_dict("list") == {"a": ["1", "2"], "y": ["x", "z"]}

    def test_names_of_columns_and_files_are_data(self, tmp_path: Path) -> None:
        path = write(tmp_path, "<b>,=1+1,größe,c0\n1,2,3,4\n", "t[1]*::x?.csv")
        assert list(read_table(path).frame.columns) == ["<b>", "=1+1", "größe", "c0"]

    def test_a_byte_order_mark_is_noted_and_no_part_of_a_name(self, tmp_path: Path) -> None:
        reading = read_table(write(tmp_path, b"\xef\xbb\xbfa,y\n1,x\n"))
        assert list(reading.frame.columns) == ["a", "y"]
        assert "byte order mark" in reading.notes[0]

    def test_row_numbers_that_pandas_wrote_are_left_out(self, tmp_path: Path) -> None:
        frame = pd.DataFrame({"a": [3, 4], "y": ["u", "v"]})
        frame.to_csv(tmp_path / "t.csv")
        reading = read_table(tmp_path / "t.csv")
        assert list(reading.frame.columns) == ["a", "y"]
        assert "row numbers" in reading.notes[0]

    def test_datasets_is_not_needed_and_nothing_is_printed_or_left_behind(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setitem(sys.modules, "datasets", None)  # which would tell the hub
        (temporary := tmp_path / "temporary").mkdir()  # of this test alone: others make folders at the same time
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        path = write(tmp_path, "a,y\n1,x\n")
        read_table(path).frame.to_parquet(tmp_path / "t.parquet")
        assert read_table(tmp_path / "t.parquet").frame.equals(read_table(path).frame)
        assert capfd.readouterr() == ("", "")
        assert not list(temporary.iterdir())
        assert {entry.name for entry in tmp_path.iterdir()} == {"t.csv", "t.parquet", "temporary"}

    def test_a_folder_called_like_a_partition_adds_no_column(self, tmp_path: Path) -> None:
        (tmp_path / "year=2020").mkdir()
        pd.DataFrame({"a": [1], "y": ["x"]}).to_parquet(tmp_path / "year=2020" / "t.parquet")
        assert list(read_table(tmp_path / "year=2020" / "t.parquet").frame.columns) == ["a", "y"]

    def test_a_cell_may_be_long_and_a_table_wide(self, tmp_path: Path) -> None:
        long = "x" * 3_000_000
        assert read_table(write(tmp_path, f"a,y\n{long},1\n2,3\n")).frame["a"].tolist() == [long, "2"]
        wide = ",".join(f"c{k}" for k in range(5000))
        assert read_table(write(tmp_path, f"{wide}\n{wide}\n")).frame.shape == (1, 5000)


class TestHeader:
    @pytest.mark.parametrize("first", ["1.5,x", "'-1',x", "x,-3e4", '"2",x', ".5,x"])
    def test_a_number_in_the_first_line_is_data(self, tmp_path: Path, first: str) -> None:
        reading = read_table(write(tmp_path, f"{first}\n2,y\n"))
        assert (list(reading.frame.columns), len(reading.frame), reading.header) == (["column1", "column2"], 2, False)
        assert "column1 to column2" in reading.notes[0]
        assert "--header" in reading.notes[0]

    @pytest.mark.parametrize("first", ["a,b", "1a,b", "a,2019-01-01", "0,1", "1,2", "0,1,label", "x,2019,Class"])
    def test_names_and_counted_columns_are_a_header(self, tmp_path: Path, first: str) -> None:
        reading = read_table(write(tmp_path, f"{first}\n{','.join(['7'] * len(first.split(',')))}\n"))
        assert list(reading.frame.columns) == first.split(",")
        assert reading.header

    def test_an_expected_name_makes_a_header_and_made_up_ones_do_not(self, tmp_path: Path) -> None:
        path = write(tmp_path, "2019,kind\n5,x\n")
        assert list(read_table(path, expected=["kind"]).frame.columns) == ["2019", "kind"]
        words = write(tmp_path, "u,v\nx,w\n", "w.csv")
        assert len(read_table(words, expected=["column1", "column2"]).frame) == 2
        named = write(tmp_path, "column1,column2\nx,w\n", "n.csv")
        assert len(read_table(named, expected=["column1", "column2"]).frame) == 1

    def test_the_option_wins(self, tmp_path: Path) -> None:
        path = write(tmp_path, "1,2\n3,4\n")
        assert len(read_table(path, header=True).frame) == 1
        assert len(read_table(write(tmp_path, "a,b\nc,d\n"), header=False).frame) == 2


class TestDelimiter:
    def test_is_a_tab_in_tsv_and_an_option_elsewhere(self, tmp_path: Path) -> None:
        assert read_table(write(tmp_path, "a\ty\n1,5\tx\n", "t.tsv")).frame["a"].tolist() == ["1,5"]
        for given in (";", "semicolon"):
            assert list(read_table(write(tmp_path, "a;y\n1;x\n"), delimiter=given).frame.columns) == ["a", "y"]

    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ("a;b;y\n1;2;x\n", "semicolon"),
            ("a\tb\n1\tx\n", "tab"),
            ("a|b\n1|x\n", "bar"),
            ("a;y\n1,5;x\n2;z\n", "semicolon"),
        ],
    )
    def test_a_wrong_one_is_refused_and_the_right_one_named(self, tmp_path: Path, text: str, named: str) -> None:
        with pytest.raises(
            ValueError, match=rf"t\.csv has .* --delimiter {named}|t\.csv has .*\(--delimiter {named}\)"
        ):
            read_table(write(tmp_path, text))

    def test_text_that_holds_other_delimiters_is_not_suspected(self, tmp_path: Path) -> None:
        assert read_table(write(tmp_path, "a,b,y\np;q,r|s,x\np;q;r,s,z\n")).frame.shape == (2, 3)

    @pytest.mark.parametrize("given", ["", "ab", '"', "x", "1", "¬"])
    def test_an_impossible_one_is_refused(self, tmp_path: Path, given: str) -> None:
        with pytest.raises(ValueError, match=r"delimiter .*--delimiter"):
            read_table(write(tmp_path, "a,b\n1,2\n"), delimiter=given)


REFUSED = {
    "0 bytes": (b"", r"t\.csv is empty \(0 bytes\)"),
    "only empty lines": (b"\n\n", r"only empty lines"),
    "only a byte order mark": (b"\xef\xbb\xbf", r"only empty lines"),
    "header only": (b"a,b,y\n", r"a header and no rows; .*--no-header"),
    "UTF-16": ("a,y\n1,x\n".encode("utf-16"), r"must be text in UTF-8, got byte 0xff in line 1 \(UTF-16"),
    "UTF-16 without mark": ("a,y\n1,x\n".encode("utf-16-le"), r"in line 1 \(UTF-16, UTF-32 or no text"),
    "UTF-32": ("a,y\n1,x\n".encode("utf-32"), r"in line 1 \(UTF-16, UTF-32 or"),
    "Latin-1": ("a,y\n1,caf\xe9\n".encode("latin-1"), r"UTF-8, got byte 0xe9 in line 2 \(another encoding\); save it"),
    "Latin-1 far down": (b"a,y\r\n" + b"1,x\r\n" * 3000 + b"1,\xe9\r\n1,x\r\n", r"got byte 0xe9 in line 3002"),
    "Latin-1 in the header": ("caf\xe9,y\r1,x\r".encode("latin-1"), r"got byte 0xe9 in line 1"),
    "NUL far down": (b"a,y\n" + b"1,x\n" * 3000 + b"1,\0\n", r"got byte 0x00 in line 3002 \(UTF-16, UTF-32 or no"),
    "column twice": (b"a,b,a\n1,2,x\n", r"every column once, got 'a' 2 times; .*--no-header"),
    "column without name": (b"a,,y\n1,2,x\n", r"column 2 has no name"),
    "unnamed first column that counts nothing": (b",y\n5,x\n9,z\n", r"column 1 has no name"),
    "a row too long": (b"a,y\n1,x\n1,x,3\n", r"must have 2 cells as the first has, got 3 in line 3.*'1,x,3'"),
    "a row too short": (b"a,b,y\n1,2,x\n1\n", r"must have 3 cells as the first has, got 1 in line 3"),
    "a quote that stays open at the end": (
        b'a,y\n1,x\n2,"z\n',
        r"a quote is not closed in the row that begins in line 3",
    ),
    "a quote that stays open": (b'a,y\n1,x\n"2,z\n3,x\n', r"a quote is not closed in the row that begins in line 3"),
}


class TestRefusals:
    @pytest.mark.parametrize("case", REFUSED)
    def test_what_is_no_table_is_named(self, tmp_path: Path, case: str) -> None:
        data, said = REFUSED[case]
        with pytest.raises(ValueError, match=said) as caught:
            read_table(write(tmp_path, data))
        assert "\n" not in str(caught.value)
        assert "t.csv" in str(caught.value)

    @pytest.mark.parametrize("data", [b"", b"PAR1", b"no parquet at all", b"PAR1" + bytes(50) + b"PAR1"])
    def test_a_damaged_parquet_file_is_named(self, tmp_path: Path, data: bytes) -> None:
        with pytest.raises(ValueError, match=r"t\.parquet (is empty|cannot be read as a parquet table)") as caught:
            read_table(write(tmp_path, data, "t.parquet"))
        assert "\n" not in str(caught.value)

    def test_no_reader_speaks_for_us(self, tmp_path: Path) -> None:
        with pytest.raises(
            ValueError, match=r"cannot be read as a parquet table \(it is cut short or of another kind\)"
        ):
            read_table(write(tmp_path, bytes(range(256)) * 8, "t.parquet"))

    def test_an_empty_parquet_table_is_named(self, tmp_path: Path) -> None:
        pd.DataFrame({"a": [1], "y": ["x"]}).iloc[:0].to_parquet(tmp_path / "t.parquet")
        with pytest.raises(ValueError, match=r"t\.parquet holds no rows"):
            read_table(tmp_path / "t.parquet")

    def test_a_column_twice_in_parquet_is_named(self, tmp_path: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
        parquet.write_table(twice, tmp_path / "t.parquet")
        with pytest.raises(ValueError, match=r"t\.parquet must name every column once, got 'a' 2 times"):
            read_table(tmp_path / "t.parquet")

    def test_no_such_file_other_kinds_and_folders(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="does not exist"):
            read_table(tmp_path / "none.csv")
        with pytest.raises(ValueError, match=r"must be a \.csv, .*, \.ndjson file, got 't\.xls'"):
            read_table(write(tmp_path, "x", "t.xls"))
        (tmp_path / "empty").mkdir()
        with pytest.raises(ValueError, match=r"must hold \.csv, .* files, got none"):
            read_table(tmp_path / "empty")
        with pytest.raises(ValueError, match="must be a file, got a folder"):
            read_table([tmp_path / "empty"])
        with pytest.raises(TypeError, match="path, a list of paths or a folder, got int"):
            read_table(3)
        with pytest.raises(ValueError, match="not a possible file name"):
            read_table("a\0b.csv")

    def test_symbolic_links_that_loop_or_lead_nowhere(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").symlink_to(tmp_path / "b.csv")
        (tmp_path / "b.csv").symlink_to(tmp_path / "a.csv")
        with pytest.raises(ValueError, match="symbolic link to itself"):
            read_table(tmp_path / "a.csv")
        with pytest.raises(ValueError, match="symbolic link to itself"):
            read_table(tmp_path)
        (tmp_path / "c.csv").symlink_to(tmp_path / "gone.csv")
        with pytest.raises(ValueError, match="symbolic link to nothing"):
            read_table(tmp_path / "c.csv")

    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "t.csv")
        with pytest.raises(ValueError, match="must be a regular file"):
            read_table(tmp_path / "t.csv")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_an_unreadable_file_and_folder(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a,y\n1,x\n")
        path.chmod(0)
        with pytest.raises(ValueError, match="may not be read; check its permissions"):
            read_table(path)
        (tmp_path / "f").mkdir(mode=0)
        with pytest.raises(ValueError, match="cannot be listed"):
            read_table(tmp_path / "f")

    def test_what_the_system_says_of_an_unreadable_file_is_passed_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(self: Path) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "stat", refuse)
        with pytest.raises(ValueError, match="may not be read; check its permissions"):
            read_table(tmp_path / "t.csv")


class TestFolders:
    def test_names_of_files_declare_a_split(self, tmp_path: Path) -> None:
        write(tmp_path, "a,y\n1,x\n2,z\n", "train-0.csv")
        write(tmp_path, "y\ta\nx\t3\n", "validation.tsv")
        pd.DataFrame({"a": ["4"], "y": ["z"]}).to_parquet(tmp_path / "test-00000-of-00001.parquet")
        write(tmp_path, "id\n1\n", "sample_submission.csv")
        write(tmp_path, "words", "README.md")
        reading = read_table(tmp_path)
        assert reading.parts is not None
        rows = dict(zip(reading.frame["a"].tolist(), zip(reading.frame["y"], reading.parts, strict=True), strict=True))
        assert rows == {"1": ("x", "train"), "2": ("z", "train"), "3": ("x", "val"), "4": ("z", "test")}
        assert "not read: sample_submission.csv" in reading.notes[0]
        assert reading.name == tmp_path.name

    def test_files_without_such_names_are_one_table(self, tmp_path: Path) -> None:
        for k in range(3):
            write(tmp_path, f"a,y\n{k},x\n", f"part-{k}.csv")
        reading = read_table(tmp_path)
        assert (reading.frame["a"].tolist(), reading.parts) == (["0", "1", "2"], None)

    def test_other_columns_in_a_second_file_are_refused(self, tmp_path: Path) -> None:
        paths = [write(tmp_path, "a,y\n1,x\n", "p.csv"), write(tmp_path, "a,z\n1,x\n", "q.csv")]
        with pytest.raises(ValueError, match=r"columns of p\.csv, but q\.csv lacks 'y'"):
            read_table(paths)

    def test_a_header_in_one_file_only_is_refused(self, tmp_path: Path) -> None:
        paths = [write(tmp_path, "column1,column2\n1,x\n", "p.csv"), write(tmp_path, "1,x\n", "q.csv")]
        with pytest.raises(ValueError, match="a header or none, got both"):
            read_table(paths)

    def test_a_split_without_training_rows_is_refused(self, tmp_path: Path) -> None:
        write(tmp_path, "a,y\n1,x\n", "test.csv")
        with pytest.raises(ValueError, match=r"without a train\* file"):
            read_table(tmp_path)

    def test_a_column_of_two_types_keeps_every_value(self, tmp_path: Path) -> None:
        pd.DataFrame({"a": [2**53 + 1]}).to_parquet(tmp_path / "p.parquet")
        pd.DataFrame({"a": [0.5]}).to_parquet(tmp_path / "q.parquet")
        assert read_table(tmp_path).frame["a"].tolist() == [2**53 + 1, 0.5]

    def test_what_looks_like_a_table(self, tmp_path: Path) -> None:
        assert is_table("x.CSV")
        assert not is_table("x.npz")
        assert not is_table(tmp_path)
        write(tmp_path, "file_name,label\n", "metadata.csv")
        assert not is_table(tmp_path)
        write(tmp_path, "a,y\n1,x\n", "train.csv")
        assert is_table(tmp_path)


def test_without_the_extra_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.csv", None)
    with pytest.raises(ModuleNotFoundError, match=r"tables needs pandas and pyarrow; install longtail\[data\]"):
        read_table(write(tmp_path, "a,y\n1,x\n"))


def test_the_numbers_of_a_random_table_come_back_digit_for_digit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(200, 3))
    pd.DataFrame(values, columns=["a", "b", "c"]).to_csv(tmp_path / "t.csv", index=False)
    read = read_table(tmp_path / "t.csv").frame
    assert [[float(v) for v in row] for row in read.to_numpy().tolist()] == values.tolist()
