with result as (
    select * from marts.lab_results
),

final as (
    select
        person_id,
        measurement_date,
        avg(case when lab = 'hba1c' then lab_value end) as hba1c,
        max(case when lab = 'hba1c' then unit end) as hba1c_unit,
        avg(case when lab = 'glucose' then lab_value end) as glucose,
        max(case when lab = 'glucose' then unit end) as glucose_unit,
        avg(case when lab = 'total_cholesterol' then lab_value end) as total_cholesterol,
        max(case when lab = 'total_cholesterol' then unit end) as total_cholesterol_unit,
        avg(case when lab = 'ldl_cholesterol' then lab_value end) as ldl_cholesterol,
        max(case when lab = 'ldl_cholesterol' then unit end) as ldl_cholesterol_unit,
        avg(case when lab = 'hdl_cholesterol' then lab_value end) as hdl_cholesterol,
        max(case when lab = 'hdl_cholesterol' then unit end) as hdl_cholesterol_unit,
        avg(case when lab = 'triglycerides' then lab_value end) as triglycerides,
        max(case when lab = 'triglycerides' then unit end) as triglycerides_unit,
        avg(case when lab = 'creatinine' then lab_value end) as creatinine,
        max(case when lab = 'creatinine' then unit end) as creatinine_unit,
        avg(case when lab = 'egfr' then lab_value end) as egfr,
        max(case when lab = 'egfr' then unit end) as egfr_unit,
        avg(case when lab = 'urea_nitrogen' then lab_value end) as urea_nitrogen,
        max(case when lab = 'urea_nitrogen' then unit end) as urea_nitrogen_unit,
        avg(case when lab = 'potassium' then lab_value end) as potassium,
        max(case when lab = 'potassium' then unit end) as potassium_unit,
        avg(case when lab = 'sodium' then lab_value end) as sodium,
        max(case when lab = 'sodium' then unit end) as sodium_unit,
        avg(case when lab = 'hemoglobin' then lab_value end) as hemoglobin,
        max(case when lab = 'hemoglobin' then unit end) as hemoglobin_unit,
        avg(case when lab = 'systolic_bp' then lab_value end) as systolic_bp,
        max(case when lab = 'systolic_bp' then unit end) as systolic_bp_unit,
        avg(case when lab = 'diastolic_bp' then lab_value end) as diastolic_bp,
        max(case when lab = 'diastolic_bp' then unit end) as diastolic_bp_unit,
        avg(case when lab = 'body_mass_index' then lab_value end) as body_mass_index,
        max(case when lab = 'body_mass_index' then unit end) as body_mass_index_unit,
        avg(case when lab = 'body_weight' then lab_value end) as body_weight,
        max(case when lab = 'body_weight' then unit end) as body_weight_unit,
        avg(case when lab = 'body_height' then lab_value end) as body_height,
        max(case when lab = 'body_height' then unit end) as body_height_unit,
        count(*) as result_count,
        count(*) - count(lab_value) as unconverted_count
    from result
    group by person_id, measurement_date
)

select * from final
