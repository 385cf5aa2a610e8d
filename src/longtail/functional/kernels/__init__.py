"""The kernels of `longtail.functional.launch`, in Triton: a program works on ROWS rows, BLOCK classes at a time.

Arguments that several kernels share:

    z_ptr, row_stride, class_stride: logits (N, C) of any layout. y_ptr: class indices (N,), dense.
    weight_ptr: class weights (C,). factor_ptr, factor: b, per class (FACTORS 2), one tensor (1) or a number (0).
    offset_ptr, true_ptr: o and t (C,). gamma_ptr, gamma: focal exponent, a tensor or a number. None: absent.
    value_ptr, losses_ptr: the reduced loss, the losses (N,). out_ptr: the gradient (N, C), dense.
    saved_ptr: in the dtype of the computation, see `launch.forward`.
    REDUCE: as in `launch.Reduce`, as plain numbers: Triton compares global names in every start.

An index that is neither a class nor `ignore` gives NaN.
"""
